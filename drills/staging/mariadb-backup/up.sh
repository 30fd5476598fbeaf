#!/usr/bin/env bash
# Brings up one MariaDB server (m1) on loopback whose binary logs are copied elsewhere as they are written
# (mariadb-binlog
# --raw --stop-never), and takes a dump of it. Clients use one port (HAProxy), as they would a DNS name or a virtual
# address.
# Beside it is room for a second server ("restored"), with a port of its own and nothing in it.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-mariadb-backup)
# --base-port PORT  all ports follow from this one (default 14500, or $BLACKSTART_BASE_PORT)
#
# Prints its fields as key=value lines once writes are served, the logs are copied and the dump is there. Run again:
# nothing happens if it is up. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-14500}}
set_ports
find_mariadb
need_tools haproxy ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
write_port=$WRITE_PORT
restored_port=$(port_of restored)
archive=$DIR/archive
password_file=$DIR/app.password
admin_password_file=$DIR/root.password
FIELDS
}
settings() { printf 'BASE=%q\nMARIADBD=%q\n' "$BASE" "$MARIADBD"; }

all_up() {
  local name
  for name in m1 archiver haproxy; do runs "$name" || return 1; done
  takes_writes m1 && serves_writes && [[ ! -e $DIR/restored ]]
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, one with other settings or after a drill: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$WRITE_PORT" "$ADMIN_PORT" "$(port_of m1)" "$(port_of restored)"
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
for folder in archive dumps; do
  mkdir -p "$DIR/$folder"
  chmod 700 "$DIR/$folder"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/$folder"
done
# A server that is shut down with its logs in another place than its data would lose both at once: here they are copied.
make_server m1 "$(port_of m1)" 1
launch_server m1
WATCH=m1 within 30 "m1 answers on port $(port_of m1)" answers m1
make_app_database m1
launch archiver mariadb-binlog --defaults-file="$DIR/root.cnf" -P "$(port_of m1)" --read-from-remote-server --raw \
  --stop-never --result-file="$DIR/archive/" binlog.000001
WATCH=archiver within 20 "the binary logs are copied" archived

launch_haproxy m1 restored
WATCH=haproxy within 20 "writes are served on port $WRITE_PORT" serves_writes
"$(dirname "$0")/dump.sh" --dir "$DIR" >/dev/null
up=yes
print_fields
