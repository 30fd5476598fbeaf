#!/usr/bin/env bash
# Brings up a plain PostgreSQL primary (pg1) and a streaming standby (pg2) on loopback, with nothing that fails over by
# itself: promotion and re-pointing are steps of the drill (promote.sh). Clients use one port (HAProxy), as they would a
# DNS name or a virtual address. A page stands in front.
#
#   up.sh [--dir DIR] [--base-port PORT] [--sync] [--pgbouncer]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-postgres-pair)
# --base-port PORT  all ports follow from this one (default 15200, or $BLACKSTART_BASE_PORT)
# --sync            a commit waits for the standby (synchronous_standby_names); default: asynchronous
# --pgbouncer       the clients' port is PgBouncer's, which pools sessions; default: HAProxy's
#
# Prints its fields as key=value lines once writes are served and the standby streams. Run again: nothing happens if it
# is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(sync pgbouncer)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15200}}
set_ports
find_postgres
front=haproxy
[[ -z $PGBOUNCER ]] || front=pgbouncer
need_tools "$front" curl ss setpriv /usr/bin/python3

print_fields() {
  cat <<FIELDS
dir=$DIR
write_port=$WRITE_PORT
pg1_port=$(pg_port pg1)
pg2_port=$(pg_port pg2)
page_port=$PAGE_PORT
password_file=$DIR/app.password
FIELDS
}
settings() { printf 'BASE=%q\nSYNC=%q\nPGBOUNCER=%q\nPGBIN=%q\n' "$BASE" "$SYNC" "$PGBOUNCER" "$PGBIN"; }

all_up() {
  local name
  for name in pg1 pg2 "$front" page; do runs "$name" || return 1; done
  is_primary pg1 && serves_writes && streams pg2
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, one with other settings or roles: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$WRITE_PORT" "$ADMIN_PORT" "$PAGE_PORT" $((BASE + 21)) $((BASE + 22))
make_staging
settings >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

make_pg_passwords
for node in "${NODES[@]}"; do
  mkdir -p "$DIR/$node"
  chmod 700 "$DIR/$node"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/$node"
done

# Data checksums let pg_rewind work, as wal_log_hints would; no socket files, so that long folder names are no problem.
as_owner "$PGBIN/initdb" -D "$DIR/pg1/data" -U postgres --pwfile "$DIR/postgres.password" -A scram-sha-256 -k -N \
  -E UTF8 --locale C.UTF-8 >"$DIR/log/initdb.log" 2>&1
cat >>"$DIR/pg1/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 64MB
max_wal_size = 1GB
wal_keep_size = 256MB
log_min_messages = warning
include = '../node.conf'
CONF
# Outside the data folder, so that neither a base backup nor a rewind copies one node's port to the other.
for node in "${NODES[@]}"; do echo "port = $(pg_port "$node")" >"$DIR/$node/node.conf"; done
chmod 644 "$DIR"/pg?/node.conf
echo 'host replication replicator 127.0.0.1/32 scram-sha-256' >>"$DIR/pg1/data/pg_hba.conf"

launch_postgres pg1
WATCH=pg1 within 30 "pg1 answers on port $(pg_port pg1)" is_primary pg1
PGPASSFILE=$DIR/pgpass "$PGBIN/psql" -h 127.0.0.1 -p "$(pg_port pg1)" -U postgres -d postgres -Xq -v ON_ERROR_STOP=1 \
  <<<"create role replicator login replication password '$(cat "$DIR/replicator.password")'"
make_app_database "$(pg_port pg1)"
# For drills that pause replay; the standby has it from the primary.
sql "$(pg_port pg1)" postgres app "grant execute on function pg_wal_replay_pause(), pg_wal_replay_resume() to app"
"$(dirname "$0")/standby.sh" --dir "$DIR" pg2 >/dev/null

start_haproxy() {
  cat >"$DIR/haproxy.cfg" <<CFG
global
  maxconn 1000
  stats socket ipv4@127.0.0.1:$ADMIN_PORT level admin
defaults
  mode tcp
  retries 1
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout queue 1s

# No health checks: where this port leads is decided by people (promote.sh), as with a DNS entry.
listen write
  bind 127.0.0.1:$WRITE_PORT
  server pg1 127.0.0.1:$(pg_port pg1)
  server pg2 127.0.0.1:$(pg_port pg2) disabled
CFG
  launch haproxy haproxy -db -f "$DIR/haproxy.cfg"
}

# It asks clients for the password that it has itself, and shows it to the server.
start_pgbouncer() {
  make_password "$DIR/bouncer.password"
  (umask 077 && printf '"%s" "%s"\n' app "$(cat "$DIR/app.password")" bouncer "$(cat "$DIR/bouncer.password")" \
    >"$DIR/pgbouncer.users")
  echo "127.0.0.1:*:pgbouncer:bouncer:$(cat "$DIR/bouncer.password")" >>"$DIR/pgpass"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/pgbouncer.users"
  bouncer_config pg1
  launch pgbouncer pgbouncer "$DIR/pgbouncer.ini"
}

"start_$front"
WATCH=$front within 20 "writes are served on port $WRITE_PORT" serves_writes
install -m 644 "$(dirname "$0")/../page.py" "$DIR/page.py"
launch page /usr/bin/python3 "$DIR/page.py" "$PAGE_PORT" "$WRITE_PORT" "$DIR/app.password"
WATCH=page within 20 "the page answers on port $PAGE_PORT" curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:$PAGE_PORT/"
up=yes
print_fields
