#!/usr/bin/env bash
# Everything that brings both regions back, in one: what heals the outage if the drill is broken off. Clients are sent to
# region a unless they are sent to one that is whole. Nothing to do: nothing happens.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
"$HERE/is-whole.sh" --dir "$DIR" >/dev/null 2>&1 && exit 0
"$HERE/start.sh" --dir "$DIR" --no-replication a b >/dev/null
if ! has_stock a && ! has_stock b; then
  "$HERE/move-clients.sh" --dir "$DIR" nowhere >/dev/null
  # What a broken restore left is in nobody's way.
  "$HERE/lose.sh" --dir "$DIR" a
  "$HERE/start.sh" --dir "$DIR" --no-replication a >/dev/null
  "$HERE/restore.sh" --dir "$DIR" a >/dev/null
fi
for region in "${REGIONS[@]}"; do replicate "$region"; done
for region in "${REGIONS[@]}"; do within 60 "region $region has the application's documents" has_stock "$region"; done
[[ $(active) == [ab] ]] || "$HERE/move-clients.sh" --dir "$DIR" a >/dev/null
"$HERE/is-whole.sh" --dir "$DIR"
