#!/usr/bin/env bash
# Makes an empty PostgreSQL server in the place for restores, with the application's user and an empty database, and starts
# it. Already running: nothing to do.
#
#   start-empty.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

if ! runs restored; then
  [[ ! -e $DIR/restored/data ]] || die "$DIR/restored/data is there already"
  as_owner "$PGBIN/initdb" -D "$DIR/restored/data" -U postgres --pwfile "$DIR/postgres.password" -A scram-sha-256 -k -N \
    -E UTF8 --locale C.UTF-8 >>"$DIR/log/initdb.log" 2>&1
  cat >>"$DIR/restored/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = $(pg_port restored)
log_min_messages = warning
CONF
  launch_postgres restored
  WATCH=restored within 30 "the empty server answers" is_primary restored
  PGPASSFILE=$DIR/pgpass "$PGBIN/psql" -h 127.0.0.1 -p "$(pg_port restored)" -U postgres -d postgres -Xq \
    -v ON_ERROR_STOP=1 >/dev/null <<SQL
create role app login password '$(cat "$DIR/app.password")';
create database app owner app;
grant pg_monitor to app;
SQL
fi
echo "pid=$(pid_of restored)"
