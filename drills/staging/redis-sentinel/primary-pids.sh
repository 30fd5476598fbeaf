#!/usr/bin/env bash
# Prints the current primary, as the Sentinels name it and it says itself: its name as name=r1, its port, then its
# pid.
#
#   primary-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "there is no primary that all Sentinels name"
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$node"
