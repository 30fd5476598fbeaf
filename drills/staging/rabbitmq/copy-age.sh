#!/usr/bin/env bash
# Prints how old the newest copy of the node's disk is, in seconds; fails when there is none. With --exposure: how much
# one could lose at the worst moment of the last copies, which is the longest time between two that follow each other,
# or since the last one.
#
#   copy-age.sh [--dir DIR] [--exposure]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(exposure)
parse_options "$@"
load_staging
now=$(date +%s)
copy=$(newest) || die "there is no copy"
if [[ -z $EXPOSURE ]]; then
  echo $((now - copy))
  exit 0
fi
longest=0 later=$now
while read -r copy; do
  ((later - copy <= longest)) || longest=$((later - copy))
  later=$copy
done < <(ls -1 "$DIR/copies" | grep -E '^[0-9]+$' | sort -rn)
echo "$longest"
