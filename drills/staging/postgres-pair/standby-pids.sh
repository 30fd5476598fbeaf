#!/usr/bin/env bash
# Prints the node that is not primary: its name as name=pg2, then the pid of its postmaster.
#
#   standby-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "the pair has no primary now"
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$(other "$node")"
