#!/usr/bin/env bash
# Everything that brings clients to a region that answers, in one: what heals the outage if the drill is broken off.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
active=$(cat "$DIR/active")
answers "$active" || lead_to "$(other_of "$active")"
(front "enable frontend clients") 2>/dev/null || true
for node in "${NODES[@]}"; do answers "$node" || "$HERE/rejoin.sh" --dir "$DIR" "$node"; done
