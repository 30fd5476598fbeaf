#!/usr/bin/env bash
# Succeeds when all members serve the application's keys.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do
  serves "$node" || die "$node does not serve"
  has_stock "$node" || die "$node has not all keys of the application"
done
echo "all members have the application's keys"
