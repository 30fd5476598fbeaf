#!/usr/bin/env bash
# Takes a dump again and again, for as long as it runs. It gets its name, the second it was begun in, when it is whole;
# the last 20 are kept.
#
#   dumps.sh [--dir DIR] --every SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
parse_options "$@"
load_staging
every=${ARGS[0]:?dumps.sh needs --every SECONDS}

while :; do
  began=$(date +%s)
  rm -rf "$DIR/dumps/unfinished"
  if quiet ask set dump "$DIR/dumps/unfinished"; then
    mv -T "$DIR/dumps/unfinished" "$DIR/dumps/$began"
  fi
  { ls -1 "$DIR/dumps" | grep -E '^[0-9]+$' || true; } | sort -rn | tail -n +21 |
    while read -r old; do rm -rf "${DIR:?}/dumps/$old"; done
  sleep "$every"
done
