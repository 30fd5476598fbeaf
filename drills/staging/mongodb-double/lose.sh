#!/usr/bin/env bash
# All members and their disks are gone. Nothing there: nothing happens.
#
#   lose.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do cat "$DIR/pids/$node"; done | end_processes KILL
for node in "${NODES[@]}"; do rm -rf "${DIR:?}/$node/data"; done
