#!/usr/bin/env bash
# Succeeds when NAME leads the queue of the drill's ledger; with --not, when another node does.
#
#   is-leader.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-leader.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
leader=$(leader "$(ledger_queue)") || die "no node leads the queue"
if [[ -n $NOT ]]; then
  [[ $leader != "$node" ]] || die "$node leads"
else
  [[ $leader == "$node" ]] || die "$leader leads"
fi
echo "name=$leader"
