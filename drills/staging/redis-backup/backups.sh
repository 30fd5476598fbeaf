#!/usr/bin/env bash
# Takes a backup of r1 again and again, for as long as it runs: the server sends its data set as it would to a replica
# (redis-cli --rdb). A backup gets its name, the second it was begun in, when it is whole; the last 20 are kept.
#
#   backups.sh [--dir DIR] --every SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
parse_options "$@"
load_staging
every=${ARGS[0]:?backups.sh needs --every SECONDS}

while :; do
  began=$(date +%s)
  if (umask 077 && REDISCLI_AUTH=$(cat "$DIR/app.password") timeout 30 redis-cli --no-auth-warning \
    -p "$(port_of r1)" --rdb "$DIR/backups/unfinished") >/dev/null 2>&1; then
    mv "$DIR/backups/unfinished" "$DIR/backups/$began.rdb"
    ls -1 "$DIR/backups" | grep -E '^[0-9]+\.rdb$' | sort -rn | tail -n +21 |
      while read -r old; do rm -f "$DIR/backups/$old"; done
  fi
  sleep "$every"
done
