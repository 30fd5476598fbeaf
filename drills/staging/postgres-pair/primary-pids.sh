#!/usr/bin/env bash
# Prints the current primary: its name as name=pg1, then the pid of its postmaster.
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
