#!/usr/bin/env bash
# Succeeds when the application's files are where clients work, and files can be written there.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
[[ ! -f $DIR/lost ]] || die "the device is lost"
has_stock || die "the application's files are not where clients work"
timeout 10 sh -c 'echo alive >"$1/.alive" && sync -d "$1/.alive" && rm "$1/.alive"' sh "$DIR/service"
echo "whole"
