#!/usr/bin/env bash
# A region's server and its disk are gone. Nothing there: nothing happens.
#
#   lose.sh [--dir DIR] REGION…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a region: ${REGIONS[*]}"
for region in "${ARGS[@]}"; do is_region "$region"; done
for region in "${ARGS[@]}"; do [[ ! -f $DIR/pids/$region ]] || cat "$DIR/pids/$region"; done | end_processes KILL
for region in "${ARGS[@]}"; do rm -rf "$DIR/$region/data"; done
