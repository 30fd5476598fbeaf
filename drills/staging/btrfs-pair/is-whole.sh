#!/usr/bin/env bash
# Succeeds when the application's files are where clients work, files can be written there, both volumes have disks, and the
# other one has a snapshot of what clients work on.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
[[ ! -f $DIR/lost ]] || die "volume $(cat "$DIR/lost") is lost"
"$(dirname "$0")/is-primary.sh" --dir "$DIR" "$(primary)" >/dev/null
has_stock "$DIR/service" || die "the application's files are not where clients work"
common=$(comm -12 <(snapshots a | sort) <(snapshots b | sort) | tail -n 1)
[[ -n $common ]] || die "the volumes have no snapshot in common"
echo "whole"
