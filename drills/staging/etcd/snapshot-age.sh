#!/usr/bin/env bash
# Prints how old the newest sound snapshot is, in seconds; fails when there is none. With --exposure: how much one
# could lose at the worst moment so far, which is the longest time between two snapshots that are sound and follow
# each other, or since the last one.
#
#   snapshot-age.sh [--dir DIR] [--exposure]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(exposure)
parse_options "$@"
load_staging
now=$(date +%s)
file=$(newest) || die "there is no snapshot that etcdctl finds sound"
if [[ -z $EXPOSURE ]]; then
  echo $((now - ${file%.db}))
  exit 0
fi
longest=0 later=$now
while read -r file; do
  etcdctl snapshot status "$DIR/snapshots/$file" >/dev/null 2>&1 || continue
  ((later - ${file%.db} <= longest)) || longest=$((later - ${file%.db}))
  later=${file%.db}
done < <(ls -1 "$DIR/snapshots" | grep -E '^[0-9]+\.db$' | sort -rn)
echo "$longest"
