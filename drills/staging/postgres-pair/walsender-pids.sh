#!/usr/bin/env bash
# Prints the pid of the primary's walsender: pausing that process makes the standby lag behind, for real (what is not
# sent is lost with the primary).
#
#   walsender-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "the pair has no primary now"
pid=$(sql "$(pg_port "$node")" postgres postgres "select pid from pg_stat_replication where application_name = '$(other "$node")'")
[[ -n $pid ]] || die "nobody streams from $node"
echo "name=$node"
echo "$pid"
