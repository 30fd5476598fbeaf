#!/usr/bin/env bash
# Takes a snapshot again and again, as a job would: of everything that is there. The last ten are kept.
#
#   snapshots.sh [--dir DIR] --every SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
every=${!#}
set -- "${@:1:$#-2}"
FLAGS=()
parse_options "$@"
load_staging
for ((n = 1; ; n++)); do
  name=$(printf 'snapshot-%05d' "$n")
  es any PUT "/_snapshot/backup/$name?wait_for_completion=true" '{"indices": "*"}' | jq -rc '.snapshot | {snapshot, state}' ||
    echo "no snapshot $name"
  ((n <= 10)) || rm -f "$DIR/repositories/backup/$(printf 'snapshot-%05d' $((n - 10))).json"
  sleep "$every"
done
