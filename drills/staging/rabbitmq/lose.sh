#!/usr/bin/env bash
# The node and its disk are gone. Nothing there: nothing happens.
#
#   lose.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do cat "$DIR/pids/$node"; done | end_processes KILL
for node in "${NODES[@]}"; do rm -rf "${DIR:?}/$node"; done
