#!/usr/bin/env bash
# Somebody deletes the application's index and the drill's own. Nothing there: nothing happens.
#
#   delete.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for index in $(es any GET '/blackstart_ledger-*,shop*/_mapping' | jq -r 'keys[]'); do
  es any DELETE "/$index" >/dev/null
  echo "$index" >>"$DIR/deleted"
done
