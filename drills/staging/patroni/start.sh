#!/usr/bin/env bash
# Starts a node again after its host "died", and waits until it is part of the cluster: leader, or a streaming standby
# (Patroni rewinds its data first if it diverged). A node that already runs: only waits.
#
#   start.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?start.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

# Looked at each time: right after a SIGKILL the old process may still be there, dying.
joined() {
  runs "$node" || launch_patroni "$node"
  is_leader "$node" || streams "$node"
}

within 90 "$node is leader or streams from it" joined || {
  tail -n 15 "$DIR/log/$node.log" >&2
  exit 1
}
echo "name=$node"
