#!/usr/bin/env bash
# Brings up one Redis (r1) with keys of an application, and a loop that takes a backup of it every few seconds, as a
# job would every few hours. A second server (r2) is where backups are restored; nothing runs there yet.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-redis-backup)
# --base-port PORT  all ports follow from this one (default 16950, or $BLACKSTART_BASE_PORT)
#
# Prints its fields as key=value lines once all is in order. Run again: nothing happens if it is up as asked. If
# anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-16950}}
need_tools redis-server redis-cli redis-check-rdb redis-check-aof ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
clients=127.0.0.1:$(port_of r1)
restored=127.0.0.1:$(port_of r2)
password_file=$DIR/app.password
FIELDS
}
settings() { printf 'BASE=%q\n' "$BASE"; }

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && runs r1 && runs backups && ! runs r2 &&
  has_stock r1; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$(port_of r1)" "$(port_of r2)"
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

make_password "$DIR/app.password"
mkdir -p "$DIR/backups"
chmod 700 "$DIR/backups"
((EUID != 0)) || chown "$RUN_AS" "$DIR/backups"
configure r1 yes
# What is restored from a backup is read from dump.rdb, which a server that appends ignores: it appends later.
configure r2 no

launch_node r1
WATCH=r1 within 20 "r1 answers on port $(port_of r1)" answers r1
for ((n = 1; n <= STOCK; n++)); do echo "SET stock:$n item-$n"; done |
  REDISCLI_AUTH=$(cat "$DIR/app.password") redis-cli --no-auth-warning -p "$(port_of r1)" >"$DIR/log/stock.log"
within 5 "the application's keys are there" has_stock r1
launch backups "$(readlink -f "$(dirname "$0")")/backups.sh" --dir "$DIR" --every 4
within 20 "there is a backup" newest >/dev/null
up=yes
print_fields
