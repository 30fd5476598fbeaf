#!/usr/bin/env bash
# Makes the replica stop receiving what the primary logs; with --end, receive again (nothing to do if nobody follows).
# A node that was being made again as a replica when somebody stopped that is made again now: else nobody would follow.
#
#   lag.sh [--dir DIR] [--end]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(end)
parse_options "$@"
load_staging

for node in "${NODES[@]}"; do
  if [[ -n $END && -e $DIR/$node.half ]]; then
    "$(dirname "$0")/rejoin.sh" --dir "$DIR" "$node"
    continue
  fi
  [[ -n $(replica_says "$node" Master_Port) ]] || continue
  if [[ -n $END ]]; then sql "$node" "start slave"; else sql "$node" "stop slave io_thread"; fi
done
