#!/usr/bin/env bash
# Starts nodes again that have died, with the data that they have, and waits until all serve. Safe to repeat.
#
#   start.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
# A list may come as one word.
read -ra names <<<"${ARGS[*]:?start.sh needs the name of a node: ${NODES[*]}}"
for node in "${names[@]}"; do is_node "$node"; done
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() {
  local node
  for node in "${names[@]}"; do runs "$node" || launch_node "$node"; done
  all_serve
}
within 120 "all nodes serve" back
echo "names=${names[*]}"
