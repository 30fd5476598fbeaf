#!/usr/bin/env bash
# Succeeds when the application's files are gone.
#
#   is-empty.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
! has_stock "$DIR/service" || die "the application's files are there"
echo "the application's files are gone"
