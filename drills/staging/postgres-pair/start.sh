#!/usr/bin/env bash
# Gives the pair its two nodes back after NAME stopped or died, whatever happened in between: if the other node was promoted
# (or NAME was its standby all along), NAME follows it (rejoin.sh); if not, NAME starts again as primary, and the clients' port
# leads to it. Safe to repeat.
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
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() {
  runs "$node" || launch_postgres "$node"
  is_primary "$node" && streams "$(other "$node")"
}
within 60 "$node is primary again and $(other "$node") streams from it" back
serves_writes || open_port "$node"
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=$node"
