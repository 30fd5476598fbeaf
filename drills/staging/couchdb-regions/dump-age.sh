#!/usr/bin/env bash
# Prints how old the newest whole dump is, in seconds; fails when there is none. With --exposure: how much one could lose
# at the worst moment so far, which is the longest time between two whole dumps that follow each other, or since the last.
#
#   dump-age.sh [--dir DIR] [--exposure]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(exposure)
parse_options "$@"
load_staging
now=$(date +%s)
if [[ -z $EXPOSURE ]]; then
  file=$(newest) || die "there is no dump that is whole"
  echo $((now - ${file%.jsonl}))
  exit 0
fi
longest=0 later=$now any=
while read -r file; do
  ((later - ${file%.jsonl} <= longest)) || longest=$((later - ${file%.jsonl}))
  later=${file%.jsonl} any=yes
done < <(whole_dumps)
[[ -n $any ]] || die "there is no dump that is whole"
echo "$longest"
