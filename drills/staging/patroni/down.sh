#!/usr/bin/env bash
# Ends everything that up.sh started, and removes the folder. Nothing there: nothing happens.
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

# Patroni first: it would start its PostgreSQL again. A clean stop of Patroni takes its PostgreSQL with it; the rest is
# for those whose Patroni is already dead.
end_recorded
for node in "${NODES[@]}"; do
  end_postmaster "$DIR/$node/data"
  end_orphans "$DIR/$node/data"
done
rm -rf "$DIR"
