#!/usr/bin/env bash
# Brings up one PostgreSQL server (pg1) on loopback with a pgBackRest repository: every WAL segment is archived, and there
# is a full and an incremental backup. Clients use one port (HAProxy), as they would a DNS name or a virtual address. A page
# stands in front. Beside it is room for a second server ("restored"), with a port of its own and nothing in it.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-postgres-backup)
# --base-port PORT  all ports follow from this one (default 15300, or $BLACKSTART_BASE_PORT)
#
# Segments are 1 MB (16 MB is usual) and are archived after 2 s at the latest (archive_timeout): a short drill is to have
# the gaps that a long day has. Prints its fields as key=value lines once writes are served and both backups are there.
# Run again: nothing happens if it is up. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15300}}
set_ports
find_postgres
need_tools pgbackrest haproxy curl ss setpriv /usr/bin/python3

print_fields() {
  cat <<FIELDS
dir=$DIR
bin=$PGBIN
write_port=$WRITE_PORT
source_port=$(pg_port pg1)
restored_port=$(pg_port restored)
page_port=$PAGE_PORT
config=$DIR/pgbackrest.conf
data=$DIR/pg1/data
restored=$DIR/restored/data
password_file=$DIR/app.password
admin_password_file=$DIR/postgres.password
FIELDS
}
settings() { printf 'BASE=%q\nPGBIN=%q\n' "$BASE" "$PGBIN"; }

all_up() {
  local name
  for name in pg1 haproxy page; do runs "$name" || return 1; done
  is_primary pg1 && serves_writes && [[ ! -e $DIR/restored/data ]]
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, one with other settings or after a drill: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$WRITE_PORT" "$ADMIN_PORT" "$PAGE_PORT" "$(pg_port pg1)" "$(pg_port restored)"
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
for folder in pg1 restored repo spool lock; do
  mkdir -p "$DIR/$folder"
  chmod 700 "$DIR/$folder"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/$folder"
done

cat >"$DIR/pgbackrest.conf" <<CONF
[global]
repo1-path=$DIR/repo
repo1-retention-full=4
log-path=$DIR/log
lock-path=$DIR/lock
spool-path=$DIR/spool
log-level-console=warn
log-level-file=info
compress-type=lz4
start-fast=y

[main]
pg1-path=$DIR/pg1/data
pg1-port=$(pg_port pg1)
pg1-user=postgres
pg1-database=postgres
CONF

as_owner "$PGBIN/initdb" -D "$DIR/pg1/data" -U postgres --pwfile "$DIR/postgres.password" -A scram-sha-256 -k -N \
  -E UTF8 --locale C.UTF-8 --wal-segsize=1 >"$DIR/log/initdb.log" 2>&1
cat >>"$DIR/pg1/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 64MB
max_wal_size = 256MB
log_min_messages = warning
archive_mode = on
archive_timeout = 2s
include = '../node.conf'
CONF
# Outside the data folder: a restored server has the port and the path of its own.
for node in "${NODES[@]}"; do
  cat >"$DIR/$node/node.conf" <<CONF
port = $(pg_port "$node")
archive_command = 'pgbackrest --config=$DIR/pgbackrest.conf --stanza=main --pg1-path=$DIR/$node/data archive-push %p'
CONF
done
chmod 644 "$DIR"/*/node.conf "$DIR/pgbackrest.conf"

launch_postgres pg1
WATCH=pg1 within 30 "pg1 answers on port $(pg_port pg1)" is_primary pg1
make_app_database "$(pg_port pg1)"
# What the drill's fingerprints and the pages that it corrupts are made of: a table that nobody changes.
sql "$(pg_port pg1)" app app "create table customers (id integer primary key, name text not null, note text not null)" \
  "insert into customers select n, 'customer ' || n, repeat(md5(n::text), 20) from generate_series(1, 5000) as n"
# Settled, so that nothing of it is written again by itself: a page that is would hide damage to the old one.
sql "$(pg_port pg1)" app app "vacuum (freeze, analyze) customers"

pgbackrest stanza-create >>"$DIR/log/pgbackrest.log" 2>&1
pgbackrest --type=full backup >>"$DIR/log/pgbackrest.log" 2>&1

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

# No health checks: where this port leads is decided by people (cut-over.sh), as with a DNS entry.
listen write
  bind 127.0.0.1:$WRITE_PORT
  server pg1 127.0.0.1:$(pg_port pg1)
  server restored 127.0.0.1:$(pg_port restored) disabled
CFG
launch haproxy haproxy -db -f "$DIR/haproxy.cfg"
WATCH=haproxy within 20 "writes are served on port $WRITE_PORT" serves_writes
install -m 644 "$(dirname "$0")/../page.py" "$DIR/page.py"
launch page /usr/bin/python3 "$DIR/page.py" "$PAGE_PORT" "$WRITE_PORT" "$DIR/app.password"
WATCH=page within 20 "the page answers on port $PAGE_PORT" curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:$PAGE_PORT/"
pgbackrest --type=incr backup >>"$DIR/log/pgbackrest.log" 2>&1
"$(dirname "$0")/dump.sh" --dir "$DIR" >/dev/null
up=yes
print_fields
