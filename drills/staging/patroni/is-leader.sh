#!/usr/bin/env bash
# Exit status 0 if NAME leads the cluster now; with --not: if it does not; with --other: if another node does. Only looks.
#
#   is-leader.sh [--dir DIR] [--not | --other] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not other)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-leader.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

now=$(leader) || now=nobody
echo "leader: $now"
if [[ -n $OTHER ]]; then
  [[ $now != nobody && $now != "$node" ]]
elif [[ -n $NOT ]]; then
  [[ $now != "$node" ]]
else
  [[ $now == "$node" ]]
fi
