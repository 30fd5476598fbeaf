#!/usr/bin/env bash
# Prints the newest recovery point that both stores share and whose snapshot is sound (at, snapshot, lsn, wal), and how old
# it is in seconds; fails when there is none.
#
#   newest-point.sh [--dir DIR] [SECONDS]
#
# SECONDS   fail when it is older than this

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
while read -r point; do
  etcdctl snapshot status "$DIR/points/${point%.point}.db" >/dev/null 2>&1 || continue
  age=$(($(date +%s) - ${point%.point}))
  [[ -z ${ARGS[0]:-} ]] || ((age <= ARGS[0])) || die "the newest recovery point is $age s old"
  cat "$DIR/points/$point"
  echo "age=$age"
  exit 0
done < <(points)
die "there is no recovery point that both stores share"
