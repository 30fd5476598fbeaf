#!/usr/bin/env bash
# Ends everything that up.sh started, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]
#
# Processes are ended by pid and start time as recorded.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"

# Sentinels first, or they would fail over; nobody's data is kept, so nobody is waited for. A frozen process ends only
# so.
for sentinel in "${SENTINELS[@]}" "${NODES[@]}"; do
  [[ ! -f $DIR/pids/$sentinel ]] || cat "$DIR/pids/$sentinel"
done | end_processes KILL
rm -rf "$DIR"
