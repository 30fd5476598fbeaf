#!/usr/bin/env bash
# Makes the stores agree after a restore. A row without a key is indexed: the key follows from the row. A key without a row
# cannot be helped: it is counted and left, for consistent.sh to complain about. Prints how many keys were made.
#
#   reconcile.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
answer=$(curl -sf --max-time 60 -X POST "$(service_url)/reconcile") || die "the service did not reconcile"
echo "made=$(jq -er .made <<<"$answer")"
