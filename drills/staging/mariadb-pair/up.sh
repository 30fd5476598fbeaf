#!/usr/bin/env bash
# Brings up a MariaDB primary (m1) and a replica (m2; GTID, binary log by row) on loopback, with nothing that fails over
# by itself: promotion and re-pointing are steps of the drill (promote.sh). Clients use one port (HAProxy), as they
# would a DNS name or a virtual address.
#
#   up.sh [--dir DIR] [--base-port PORT] [--semisync]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-mariadb-pair)
# --base-port PORT  all ports follow from this one (default 14400, or $BLACKSTART_BASE_PORT)
# --semisync        a commit waits for the replica (semi-synchronous, AFTER_SYNC); default: asynchronous
#
# Prints its fields as key=value lines once writes are served and the replica follows. Run again: nothing happens if it
# is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(semisync)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-14400}}
set_ports
find_mariadb
need_tools haproxy ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
write_port=$WRITE_PORT
nodes=127.0.0.1:$(port_of m1),127.0.0.1:$(port_of m2)
password_file=$DIR/app.password
FIELDS
}
settings() { printf 'BASE=%q\nSEMISYNC=%q\nMARIADBD=%q\n' "$BASE" "$SEMISYNC" "$MARIADBD"; }

all_up() {
  local name
  for name in m1 m2 haproxy; do runs "$name" || return 1; done
  is_primary m1 && ! is_primary m2 && serves_writes && follows m2
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, one with other settings or roles: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$WRITE_PORT" "$ADMIN_PORT" "$(port_of m1)" "$(port_of m2)"
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

make_maria_passwords
for node in "${NODES[@]}"; do configure "$node"; done
for node in "${NODES[@]}"; do launch_server "$node"; done
for node in "${NODES[@]}"; do WATCH=$node within 30 "$node answers on port $(port_of "$node")" answers "$node"; done

sql m1 "set global read_only = 0"
follow m2
make_app_database m1
require_replica m1
within 30 "m2 follows m1" follows m2

launch_haproxy m1 m2
WATCH=haproxy within 20 "writes are served on port $WRITE_PORT" serves_writes
up=yes
print_fields
