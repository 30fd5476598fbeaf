#!/usr/bin/env bash
# Succeeds when nothing can be written where clients work.
#
#   is-lost.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
mounted "$DIR/service" || { echo "nothing is mounted where clients work"; exit 0; }
# A process of its own: one that hangs is ended.
! timeout 5 sh -c 'echo alive >"$1/.alive" && sync -d "$1/.alive" && rm "$1/.alive"' sh "$DIR/service" \
  2>/dev/null || die "files can be written where clients work"
echo "no file can be written where clients work"
