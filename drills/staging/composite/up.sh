#!/usr/bin/env bash
# Brings up a service and its two stores on loopback: PostgreSQL with a pgBackRest repository (rows), etcd with three members
# (an index of the rows), and a job that makes a recovery point that both stores share every few seconds, as one would every
# few hours.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-composite)
# --base-port PORT  all ports follow from this one (default 15600, or $BLACKSTART_BASE_PORT)
#
# Prints its fields as key=value lines once the service works and there is a recovery point. Run again: nothing happens if it
# is up. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15600}}
set_ports
find_postgres
need_tools pgbackrest haproxy etcd etcdctl curl jq ss setpriv /usr/bin/python3

print_fields() {
  cat <<FIELDS
dir=$DIR
bin=$PGBIN
service=$(service_url)
members=$(etcd_members)
write_port=$WRITE_PORT
restored_port=$((BASE + 22))
config=$DIR/postgres/pgbackrest.conf
restored=$DIR/postgres/restored/data
postgres=$DIR/postgres
etcd=$DIR/etcd
password_file=$DIR/postgres/app.password
FIELDS
}
settings() { printf 'BASE=%q\nPGBIN=%q\n' "$BASE" "$PGBIN"; }
a_point() { [[ -n $(points) ]]; }
all_up() {
  local name
  for name in service points; do runs "$name" || return 1; done
  serves && a_point && [[ ! -e $DIR/postgres/restored/data ]]
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$HERE/down.sh" --dir "$DIR"
need_free_ports "$SERVICE_PORT"
make_staging
settings >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$HERE/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

mkdir -p "$DIR/points"
((EUID != 0)) || chown "$RUN_AS" "$DIR/points"
postgres up.sh --base-port "$BASE" >"$DIR/log/postgres-up.out" &
first=$!
etcd up.sh --base-port $((BASE + 100)) >"$DIR/log/etcd-up.out" &
second=$!
failed=
wait "$first" || failed=PostgreSQL
wait "$second" || failed="${failed:+$failed and }etcd"
[[ -z $failed ]] || die "$failed did not come up"
install -m 644 "$HERE/service.py" "$DIR/service.py"
launch service /usr/bin/python3 "$DIR/service.py" "$SERVICE_PORT" "$WRITE_PORT" "$(etcd_members)" "$DIR/postgres/app.password"
WATCH=service within 30 "the service works" serves
launch points "$HERE/points.sh" --dir "$DIR" 4
WATCH=points within 30 "there is a recovery point" a_point
up=yes
print_fields
