#!/usr/bin/env bash
# Starts a region again that was lost: empty, for all it had was in memory. What the other one has is copied to it, and
# the sync goes that way from then on. Safe to repeat.
#
#   rejoin.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:-}
is_node "$node"
other=$(other_of "$node")
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() { runs "$node" || launch_region "$node"; answers "$node"; }
within 60 "region $node answers" back
s3 "$node" make
if ! runs sync || [[ $(cat "$DIR/direction") != "$other $node" ]]; then
  cat "$DIR/pids/sync" | end_processes KILL
  launch_sync "$other" "$node"
fi
echo "names=$node"
