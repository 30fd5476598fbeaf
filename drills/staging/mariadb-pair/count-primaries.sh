#!/usr/bin/env bash
# Prints how many nodes take writes. More than one: split brain.
#
#   count-primaries.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

count=0
for node in "${NODES[@]}"; do ! is_primary "$node" || count=$((count + 1)); done
echo "$count"
