#!/usr/bin/env bash
# Prints members: their names as names=e1 e2, of the first its name as name=e1 and its port, then their pids.
#
#   node-pids.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a member: ${NODES[*]}"
for node in "${ARGS[@]}"; do
  is_node "$node"
  runs "$node" || die "$node does not run"
done
echo "names=${ARGS[*]}"
echo "name=${ARGS[0]}"
echo "port=$(port_of "${ARGS[0]}")"
for node in "${ARGS[@]}"; do pid_of "$node"; done
