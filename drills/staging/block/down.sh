#!/usr/bin/env bash
# Ends the copying, takes the mount, the loop device and the images of this folder away, and removes it. Nothing there:
# nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"
end_recorded
detach
rm -rf --one-file-system "$DIR"
