#!/usr/bin/env bash
# Dumps the database again and again, for as long as it runs, from the region that clients are sent to: another one may be
# empty or behind. A dump gets its name, the second it was begun in, when it is whole; the last 20 are kept.
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
  region=$(active)
  rm -f "$DIR/dumps/unfinished"
  if [[ $region == [ab] ]] && /usr/bin/python3 "$HERE/dump.py" make "http://127.0.0.1:$(port_of "$region")/$DATABASE" \
    "$DIR/netrc" "$DIR/dumps/unfinished" >/dev/null 2>&1; then
    mv "$DIR/dumps/unfinished" "$DIR/dumps/$began.jsonl"
  fi
  { ls -1 "$DIR/dumps" | grep -E '^[0-9]+\.jsonl$' || true; } | sort -rn | tail -n +21 |
    while read -r old; do rm -f "$DIR/dumps/$old"; done
  sleep "$every"
done
