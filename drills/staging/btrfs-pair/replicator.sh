#!/usr/bin/env bash
# Takes a snapshot of the primary and sends it to the other volume, again and again, for as long as it runs. While one of
# the volumes is lost it tries again.
#
#   replicator.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging

while :; do
  # A whole round holds the lock; what is put in its way meanwhile waits for it. The lock ends with the round.
  (locked && replicate) || true
  sleep "$EVERY"
done
