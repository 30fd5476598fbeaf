#!/usr/bin/env bash
# Prints a node that may take over from the leader: in synchronous mode the standby that commits wait for. As name=pg2.
#
#   other-node.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

primary=$(leader) || die "the cluster has no leader now"
name=$(sql "$(pg_port "$primary")" postgres postgres "select application_name from pg_stat_replication
  where state = 'streaming' order by sync_state in ('sync', 'quorum') desc, application_name limit 1")
[[ -n $name ]] || die "nobody streams from $primary"
echo "name=$name"
