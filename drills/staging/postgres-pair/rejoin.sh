#!/usr/bin/env bash
# Brings the old primary NAME back as standby of the new one: pg_rewind takes it back to where the two parted (what only
# it had is thrown away), then it follows. A standby that died only starts again, and an old primary that stopped cleanly and
# is behind in nothing needs no rewind. Already streaming: nothing to do. Prints diverged=POSITION if there was something to
# throw away.
#
#   rejoin.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?rejoin.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
upstream=$(other "$node")

rewind() {
  # pg_rewind compares the timelines in the control files: the new one is there only after a checkpoint.
  sql "$(pg_port "$upstream")" postgres postgres checkpoint
  as_owner "$PGBIN/pg_rewind" -D "$DIR/$node/data" -N -R \
    --source-server="host=127.0.0.1 port=$(pg_port "$upstream") user=postgres passfile=$DIR/pgpass dbname=postgres" \
    >"$DIR/log/$node.rewind" 2>&1 || { tail -n 15 "$DIR/log/$node.rewind" >&2; die "pg_rewind of $node failed"; }
  sed -n 's/.*servers diverged at WAL location \([0-9A-F/]*\).*/diverged=\1/p' "$DIR/log/$node.rewind"
  # -R wrote how pg_rewind itself connected; replication goes as its own user, under the standby's name.
  as_owner tee -a "$DIR/$node/data/postgresql.auto.conf" >/dev/null <<CONF
primary_conninfo = 'host=127.0.0.1 port=$(pg_port "$upstream") user=replicator passfile=$DIR/pgpass application_name=$node'
CONF
}

if ! { runs "$node" && streams "$node"; }; then
  is_primary "$upstream" || die "$upstream is not primary; promote it first"
  end_postmaster "$DIR/$node/data"
  end_orphans "$DIR/$node/data"
  [[ -f $DIR/$node/data/standby.signal ]] || rewind
  launch_postgres "$node"
fi
require_standby "$upstream"
within 60 "$node streams from $upstream" streams "$node"
echo "name=$node"
