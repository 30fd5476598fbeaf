#!/usr/bin/env bash
# The device is lost with all that is on it: its image is emptied, and the device has no bytes any more, so that every
# access is an error.
#
#   lose.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
# Not in the middle of a copy: a frozen file system would only stall, and never say that its device is gone.
locked
touch "$DIR/lost"
lose_device "$DIR/volume.img"
echo "the device is lost"
