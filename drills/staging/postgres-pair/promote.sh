#!/usr/bin/env bash
# Promotes the standby NAME and points the clients' port at it: what a runbook would have people do.
# The old primary is fenced first (the port no longer leads to it), so that it cannot take writes if it comes back. While
# it still runs as primary, promotion is refused: that would be a split brain (switchover.sh changes roles in order).
#
#   promote.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?promote.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
old=$(other "$node")
! is_primary "$old" || die "$old still runs as primary; stop it first, or use switchover.sh"

shut_port "$old"
# Nobody streams from the new primary yet: a commit that waited for a standby would wait for ever.
[[ -z $SYNC ]] || sql "$(pg_port "$node")" postgres postgres "alter system reset synchronous_standby_names" \
  "select pg_reload_conf()" >/dev/null
is_primary "$node" || sql "$(pg_port "$node")" postgres postgres "select pg_promote(true, 60)" >/dev/null
within 60 "$node is primary" is_primary "$node"
open_port "$node"
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=$node"
