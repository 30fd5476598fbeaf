#!/usr/bin/env bash
# Gives the staging its third node back after NAME died: as a replica of the primary that the Sentinels name, or as it
# was if that is NAME itself. (Started as it was, an old primary would be a second one for about ten seconds, until a
# Sentinel makes it a replica.) Waits until all is in order. Safe to repeat.
#
#   start.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?start.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

# Looked at each time: right after a SIGKILL the old process may still be there, dying, and the Sentinels may not
# agree yet.
back() {
  local named
  if ! runs "$node"; then
    named=$(named_by_sentinels) || return 1
    if [[ $named == "$node" ]]; then
      launch_node "$node"
    else
      launch_node "$node" --replicaof "127.0.0.1 $(port_of "$named")"
    fi
  fi
  all_in_order
}
within 60 "$node is back, two replicas are online and no Sentinel misses a node" back
echo "name=$node"
