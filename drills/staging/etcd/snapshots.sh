#!/usr/bin/env bash
# Takes a snapshot again and again, for as long as it runs, from whichever member gives one. It gets its name, the
# second it was begun in, when it is whole; the last 20 are kept.
#
#   snapshots.sh [--dir DIR] --every SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
parse_options "$@"
load_staging
every=${ARGS[0]:?snapshots.sh needs --every SECONDS}

while :; do
  began=$(date +%s)
  for node in "${NODES[@]}"; do
    rm -f "$DIR/snapshots/unfinished"
    if ctl "$node" snapshot save "$DIR/snapshots/unfinished" >/dev/null; then
      mv "$DIR/snapshots/unfinished" "$DIR/snapshots/$began.db"
      break
    fi
  done
  { ls -1 "$DIR/snapshots" | grep -E '^[0-9]+\.db$' || true; } | sort -rn | tail -n +21 |
    while read -r old; do rm -f "$DIR/snapshots/$old"; done
  sleep "$every"
done
