#!/usr/bin/env bash
# Ends everything that up.sh and the other scripts started, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]
#
# Processes are ended by pid and start time as recorded; nobody's data is kept, so nobody is waited for.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"

for name in haproxy "${NODES[@]}"; do
  [[ ! -f $DIR/pids/$name ]] || cat "$DIR/pids/$name"
done | end_processes KILL
rm -rf "$DIR"
