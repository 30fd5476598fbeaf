#!/usr/bin/env bash
# Prints regions: their names as names=a b, then their pids.
#
#   region-pids.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a region: ${NODES[*]}"
for node in "${ARGS[@]}"; do
  is_node "$node"
  runs "$node" || die "$node does not run"
done
echo "names=${ARGS[*]}"
for node in "${ARGS[@]}"; do pid_of "$node"; done
