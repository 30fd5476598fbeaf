#!/usr/bin/env bash
# Starts members again that have died, with the data that they have, and waits until all three serve. Safe to repeat.
#
#   start.sh [--dir DIR] NAME…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
# A list may come as one word.
read -ra names <<<"${ARGS[*]:?start.sh needs the name of a member: ${NODES[*]}}"
for node in "${names[@]}"; do is_node "$node"; done
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() {
  local node
  for node in "${names[@]}"; do runs "$node" || launch_member "$node"; done
  all_serve
}
within 60 "all members serve" back
echo "names=${names[*]}"
