#!/usr/bin/env bash
# Restores what was deleted from the newest sound snapshot that has it, and says what the snapshot held: its name and how
# many indices. An index that is there is never restored over: the server refuses it.
#
#   restore.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
# The job goes on while nothing is there: a snapshot without the indices is no backup of them.
name=$(es any GET /_snapshot/backup/_all |
  jq -er '[.snapshots[] | select(.state == "SUCCESS" and (.indices | index("shop")))] | last | .snapshot') ||
  die "there is no sound snapshot that has the application's index"
indices=$(sort -u "$DIR/deleted" | paste -sd,)
said=$(es any POST "/_snapshot/backup/$name/_restore?wait_for_completion=true" "{\"indices\": \"$indices\"}") ||
  die "the server refuses to restore $name"
jq -e '.snapshot.shards | .failed == 0 and .successful == .total and .total > 0' <<<"$said" >/dev/null ||
  die "not all of $name came back: $said"
echo "snapshot=$name"
jq -r '"indices=\(.snapshot.indices | length)"' <<<"$said"
