#!/usr/bin/env bash
# Takes the mount away, ends the server, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"
# Killed, not asked: without its server it waits for ever. With its end nobody hangs any more.
for name in mount nfsd; do
  [[ ! -f $DIR/pids/$name ]] || cat "$DIR/pids/$name"
done | end_processes KILL
unmount
rm -rf --one-file-system "$DIR"
