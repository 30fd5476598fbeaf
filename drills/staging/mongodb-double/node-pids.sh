#!/usr/bin/env bash
# Prints members: their names as names=m1 m2 and the first one's as name=m1, its port, then all pids.
#
#   node-pids.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
names=("${ARGS[@]:?node-pids.sh needs the name of a member: ${NODES[*]}}")
for node in "${names[@]}"; do
  is_node "$node"
  runs "$node" || die "$node does not run"
done
echo "names=${names[*]}"
echo "name=${names[0]}"
echo "port=$(port_of "${names[0]}")"
for node in "${names[@]}"; do pid_of "$node"; done
