#!/usr/bin/env bash
# Prints a node: its name as name=m1, its port, then its pid.
#
#   node-pids.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?node-pids.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

runs "$node" || die "$node does not run"
echo "name=$node"
echo "port=$(port_of "$node")"
pid_of "$node"
