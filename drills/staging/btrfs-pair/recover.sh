#!/usr/bin/env bash
# Whatever happened: clients get a volume that works, with the application's files, and a lost one gets a new disk. Returns
# when the other volume has a snapshot of it.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
here=$(dirname "$0")
if [[ -f $DIR/lost && $(cat "$DIR/lost") == "$(primary)" ]]; then "$here/failover.sh" --dir "$DIR"; fi
has_stock "$DIR/service" || "$here/restore.sh" --dir "$DIR"
"$here/rebuild.sh" --dir "$DIR"
within 60 "the pair is whole" "$here/is-whole.sh" --dir "$DIR" 2>/dev/null
