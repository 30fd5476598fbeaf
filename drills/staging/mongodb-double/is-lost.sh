#!/usr/bin/env bash
# Succeeds when no member runs.
#
#   is-lost.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do ! runs "$node" || die "$node runs"; done
echo "no member runs"
