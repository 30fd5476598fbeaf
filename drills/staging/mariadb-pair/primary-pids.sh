#!/usr/bin/env bash
# Prints the current primary: the other node as other=m2, its own name as name=m1, its port, then its pid.
#
#   primary-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "the pair has no primary now"
echo "other=$(other "$node")"
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$node"
