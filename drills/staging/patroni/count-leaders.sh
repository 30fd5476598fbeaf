#!/usr/bin/env bash
# Prints how many nodes say of themselves, over Patroni's REST API, that they run as primary. More than one: split brain.
#
#   count-leaders.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

count=0
for node in "${NODES[@]}"; do
  role=$(ask "$node" patroni | jq -r '.role // empty' 2>/dev/null) || role=
  [[ $role != master && $role != primary ]] || count=$((count + 1))
done
echo "$count"
