#!/usr/bin/env bash
# Takes back what was done to objects below the prefixes after they were written: marks of deletion, and versions over
# the first one. Safe to repeat.
#
#   undo.sh [--dir DIR] PREFIX…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs prefixes"
s3 "$(cat "$DIR/active")" undo "${ARGS[@]}"
