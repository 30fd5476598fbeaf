#!/usr/bin/env bash
# Waits until one node is primary, the other two are its replicas, and no Sentinel misses a node.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
others_follow() {
  local node
  all_in_order || return 1
  for node in "${NODES[@]}"; do is_primary "$node" || follows "$node" || return 1; done
}
within 60 "one primary, two replicas, and no Sentinel misses a node" others_follow
echo "name=$(primary)"
