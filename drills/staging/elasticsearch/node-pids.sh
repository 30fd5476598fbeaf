#!/usr/bin/env bash
# Prints nodes: their names as names=e1 e2, then their pids. `primary` is the one that holds the primary of the drill's
# own index, or of the application's if there is none yet.
#
#   node-pids.sh [--dir DIR] NAME…|primary

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a node: ${NODES[*]}"
if [[ ${ARGS[0]} == primary ]]; then
  index=$(ledger_index)
  node=$(primary_of "${index:-shop}") && [[ -n $node ]] || die "no primary is active"
  ARGS=("$node")
fi
for node in "${ARGS[@]}"; do
  is_node "$node"
  runs "$node" || die "$node does not run"
done
echo "names=${ARGS[*]}"
echo "index=$(ledger_index)"
for node in "${ARGS[@]}"; do pid_of "$node"; done
