#!/usr/bin/env bash
# A job gone wrong, and soon stopped: of the first objects that it finds below the prefixes, it deletes every second
# one and writes over every third.
#
#   spoil.sh [--dir DIR] PREFIX…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs prefixes"
s3 "$(cat "$DIR/active")" spoil "${ARGS[@]}"
