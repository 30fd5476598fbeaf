#!/usr/bin/env bash
# Takes nodes out of maintenance, and waits until all serve and are members again of the drill's queue. Safe to repeat.
#
#   revive.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do
  # A node that is not in maintenance is as before.
  [[ -n $(ss -Hltn "sport = :$(port_of "$node")") ]] || tool rabbitmq-upgrade "$node" revive >>"$DIR/log/maintenance.log" 2>&1 ||
    die "$(tail -1 "$DIR/log/maintenance.log")"
done
exec "$(dirname "$0")/wait-ready.sh" --dir "$DIR"
