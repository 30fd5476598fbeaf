#!/usr/bin/env bash
# Prints the pids of the nodes that are not primary now, and their names as names=r2 r3.
#
#   replica-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

primary=$(primary) || die "there is no primary that all Sentinels name"
names=()
for node in "${NODES[@]}"; do
  if [[ $node != "$primary" ]] && runs "$node"; then
    names+=("$node")
    pid_of "$node"
  fi
done
echo "names=${names[*]}"
