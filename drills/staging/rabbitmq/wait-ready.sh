#!/usr/bin/env bash
# Waits until all nodes serve and take clients, and one of them leads the drill's queue.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
ready() {
  local node queue
  for node in "${NODES[@]}"; do [[ -n $(ss -Hltn "sport = :$(port_of "$node")") ]] || return 1; done
  all_serve && queue=$(ledger_queue) && leader "$queue" >/dev/null
}
within 60 "all nodes serve, and one leads" ready
echo "name=$(leader "$(ledger_queue)")"
