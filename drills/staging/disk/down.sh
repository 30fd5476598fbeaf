#!/usr/bin/env bash
# Ends the service, takes its disk away, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"
end_recorded
take_disk
rm -rf --one-file-system "$DIR"
