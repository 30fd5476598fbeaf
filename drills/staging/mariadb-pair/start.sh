#!/usr/bin/env bash
# Gives the pair its two nodes back after NAME died, whatever happened in between: if the other node was promoted, NAME
# rejoins as its replica (rejoin.sh); if not, NAME starts again as primary. Safe to repeat.
#
#   start.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?start.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

if is_primary "$(other "$node")"; then
  exec "$(dirname "$0")/rejoin.sh" --dir "$DIR" "$node"
fi
back() {
  # Looked at each time: right after a SIGKILL the old process may still be there, dying.
  runs "$node" || launch_server "$node"
  answers "$node" && sql "$node" "set global read_only = 0" && follows "$(other "$node")"
}
within 60 "$node is primary again and $(other "$node") follows it" back
lead_to "$node"
require_replica "$node"
echo "name=$node"
