#!/usr/bin/env bash
# Prints how old the newest sound dump is, in seconds; fails when there is none. With --exposure: how much one could lose
# at the worst moment so far, which is the longest time between two sound dumps that follow each other, or since the last
# one.
#
#   dump-age.sh [--dir DIR] [--exposure]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(exposure)
parse_options "$@"
load_staging
now=$(date +%s)
mapfile -t all < <(sound)
((${#all[@]})) || die "there is no dump that is sound"
if [[ -z $EXPOSURE ]]; then
  echo $((now - all[0]))
  exit 0
fi
longest=0 later=$now
for name in "${all[@]}"; do
  ((later - name <= longest)) || longest=$((later - name))
  later=$name
done
echo "$longest"
