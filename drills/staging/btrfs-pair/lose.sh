#!/usr/bin/env bash
# The primary's disk is gone: its image is emptied and its device has no bytes any more, so that every access is an error.
# What was on it is on no other disk, but for what was sent to the other volume.
#
#   lose.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
lost=$(primary)
echo "$lost" >"$DIR/lost"
lose_device "$DIR/$lost.img"
echo "volume $lost is lost"
