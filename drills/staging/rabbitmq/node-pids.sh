#!/usr/bin/env bash
# Prints nodes: their names as names=r1 r2, of the first its name as name=r1 and as the cluster knows it, then their
# pids.
#
#   node-pids.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a node: ${NODES[*]}"
for node in "${ARGS[@]}"; do
  is_node "$node"
  runs "$node" || die "$node does not run"
done
echo "names=${ARGS[*]}"
echo "name=${ARGS[0]}"
echo "node=${ARGS[0]}@localhost"
for node in "${ARGS[@]}"; do pid_of "$node"; done
