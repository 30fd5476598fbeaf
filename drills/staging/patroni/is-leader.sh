#!/usr/bin/env bash
# Exit status 0 if NAME leads the cluster now; with --not: if it does not. Only looks.
#
#   is-leader.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-leader.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

now=$(leader) || now=nobody
echo "leader: $now"
if [[ -n $NOT ]]; then [[ $now != "$node" ]]; else [[ $now == "$node" ]]; fi
