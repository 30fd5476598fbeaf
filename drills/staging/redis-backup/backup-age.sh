#!/usr/bin/env bash
# Prints how old the newest sound backup is, in seconds; fails when there is none. With --exposure: how much one could
# lose at the worst moment so far, which is the longest time between two backups that are sound and follow each other,
# or since the last one.
#
#   backup-age.sh [--dir DIR] [--exposure]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(exposure)
parse_options "$@"
load_staging
now=$(date +%s)
file=$(newest) || die "there is no backup that redis-check-rdb finds sound"
if [[ -z $EXPOSURE ]]; then
  echo $((now - ${file%.rdb}))
  exit 0
fi
longest=0 later=$now
while read -r file; do
  redis-check-rdb "$DIR/backups/$file" >/dev/null 2>&1 || continue
  ((later - ${file%.rdb} <= longest)) || longest=$((later - ${file%.rdb}))
  later=${file%.rdb}
done < <(ls -1 "$DIR/backups" | grep -E '^[0-9]+\.rdb$' | sort -rn)
echo "$longest"
