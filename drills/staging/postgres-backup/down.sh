#!/usr/bin/env bash
# Ends everything that up.sh and the other scripts started, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]
#
# Processes are ended by pid and start time as recorded, and postmasters by the pid file of their own data folder.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"

for node in "${NODES[@]}"; do
  end_postmaster "$DIR/$node/data"
  end_orphans "$DIR/$node/data"
done
end_recorded
rm -rf "$DIR"
