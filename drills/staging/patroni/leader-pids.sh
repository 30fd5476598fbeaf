#!/usr/bin/env bash
# Prints the current leader: its name as name=pg1, then the pid of its postmaster and the pid of its Patroni, one a line.
#
#   leader-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(leader) || die "the cluster has no leader now"
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$node"
