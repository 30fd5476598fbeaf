#!/usr/bin/env bash
# The newest copy becomes the device.
#
#   restore.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
locked
newest=$(copies | tail -n 1)
[[ -n $newest ]] || die "there is no copy of the device"
detach
rm -f "$DIR/volume.img"
cp --sparse=always "$DIR/copies/$newest" "$DIR/volume.img"
attach
rm -f "$DIR/lost"
echo "copy=${newest%.img}"
