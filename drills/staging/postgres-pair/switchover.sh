#!/usr/bin/env bash
# Changes roles in order: the primary stops cleanly (its standby has everything then), NAME is promoted, and the old
# primary follows it. Already primary: nothing to do.
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
  haproxy_says "set server write/$old state maint"
  haproxy_says "shutdown sessions server write/$old"
  as_owner "$PGBIN/pg_ctl" stop -D "$DIR/$old/data" -m fast -t 30 >>"$DIR/log/$old.log" 2>&1
  "$here/promote.sh" --dir "$DIR" "$node" >/dev/null
fi
"$here/rejoin.sh" --dir "$DIR" "$old" >/dev/null
echo "name=$node"
