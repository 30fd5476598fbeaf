#!/usr/bin/env bash
# Takes a copy of the device again and again, for as long as it runs. A device that is lost is not copied.
#
#   copies.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging

while :; do
  ([[ ! -f $DIR/lost ]] && locked && [[ ! -f $DIR/lost ]] && copy) || true
  sleep "$EVERY"
done
