#!/usr/bin/env bash
# Ends everything that up.sh started, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"

for name in sync front "${NODES[@]}"; do
  [[ ! -f $DIR/pids/$name ]] || { read -r pid start <"$DIR/pids/$name" && ! same "$pid" "$start" || tree_of "$pid"; }
done | end_processes KILL
rm -rf "$DIR"
