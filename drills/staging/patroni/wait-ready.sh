#!/usr/bin/env bash
# Waits until the cluster has a leader that serves writes and two standbys stream from it.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

all_stream() {
  local primary node
  primary=$(leader) || return 1
  for node in "${NODES[@]}"; do [[ $node == "$primary" ]] || streams "$node" || return 1; done
}
within 90 "two standbys stream from the leader" all_stream
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=$(leader)"
