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

# Whatever is there, frozen or not.
for file in "$DIR"/pids/*; do
  [[ ! -f $file ]] || { read -r pid start <"$file" && ! same "$pid" "$start" || tree_of "$pid"; }
done | end_processes KILL
rm -rf "$DIR"
