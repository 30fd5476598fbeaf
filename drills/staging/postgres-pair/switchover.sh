#!/usr/bin/env bash
# Changes roles in order: the primary stops cleanly (its standby has everything then), NAME is promoted, and the old
# primary follows it, without a rewind, for it is behind in nothing. Already primary: nothing to do.
#
#   switchover.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?switchover.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
old=$(other "$node")
here=$(dirname "$0")

if ! is_primary "$node"; then
  within 30 "$node streams from $old" streams "$node"
  shut_port "$old"
  as_owner "$PGBIN/pg_ctl" stop -D "$DIR/$old/data" -m fast -t 30 >>"$DIR/log/$old.log" 2>&1
  "$here/promote.sh" --dir "$DIR" "$node" >/dev/null
fi
"$here/rejoin.sh" --dir "$DIR" "$old" >/dev/null
echo "name=$node"
