#!/usr/bin/env bash
# Makes NAME a standby of the other node from a fresh base backup, and waits until it streams. up.sh calls this.
#
#   standby.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?standby.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
upstream=$(other "$node")
runs "$node" && die "$node runs; only a node that is down can become a new standby"

rm -rf "$DIR/$node/data"
as_owner "$PGBIN/pg_basebackup" -D "$DIR/$node/data" -c fast -N -R -X stream \
  -d "host=127.0.0.1 port=$(pg_port "$upstream") user=replicator passfile=$DIR/pgpass application_name=$node" \
  >>"$DIR/log/$node.log" 2>&1
launch_postgres "$node"
require_standby "$upstream"
within 60 "$node streams from $upstream" streams "$node"
echo "name=$node"
