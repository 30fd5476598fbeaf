#!/usr/bin/env bash
# Brings up a MongoDB replica set of three members on loopback, each a process of its own with a folder of its own, with
# users, documents of an application, and on request a loop that takes a dump every few seconds, as a job would every few
# hours. The servers are doubles: no registry has a MongoDB that could be installed.
#
#   up.sh [--dir DIR] [--base-port PORT] [--dumps]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-mongodb-double)
# --base-port PORT  all ports follow from this one (default 16850, or $BLACKSTART_BASE_PORT)
# --dumps           takes dumps, one every 4 s, and has an empty member m4 to restore them on
#
# Shortened: elections after 2.5 s (electionTimeoutMillis of MongoDB is 10 s). Prints its fields as key=value lines once
# all is in order. Run again: nothing happens if it is up as asked. If anything fails, it says what, ends what it
# started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(dumps)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-16850}}
need_tools "$PYTHON" ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
members=$(hosts)
m1=$(at m1)
m2=$(at m2)
m3=$(at m3)
restored=$(at m4)
set=$NAME
password_file=$DIR/app.password
FIELDS
}
settings() { printf 'BASE=%q\nDUMPS=%q\n' "$BASE" "$DUMPS"; }
all_up() {
  local name
  for name in "${NODES[@]}" ${DUMPS:+m4 dumps}; do runs "$name" || return 1; done
  in_order && has_stock m1
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$HERE/down.sh" --dir "$DIR"

need_free_ports "$(port_of m1)" "$(port_of m2)" "$(port_of m3)" "$(port_of m4)"
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

for name in app root; do make_password "$DIR/$name.password"; done
make_password "$DIR/key"
mkdir -p "$DIR/double" "$DIR/dumps"
cp "$HERE"/../../../tests/mongodb/double/*.py "$DIR/double/"
chmod 755 "$DIR/double"
chmod 644 "$DIR"/double/*.py
chmod 700 "$DIR/dumps"
((EUID != 0)) || chown "$RUN_AS" "$DIR/dumps"
for node in "${NODES[@]}"; do
  make_disk "$node"
  launch_member "$node"
done
first_user() { make_users set 2>>"$DIR/log/users.log"; }
WATCH=m1 within 30 "m1 to m3 have a primary, and users" first_user
ask set stock "$STOCK"
within 20 "all three members are in order" in_order
if [[ -n $DUMPS ]]; then
  make_disk m4
  launch_member m4
  users_of_m4() { make_users m4 2>>"$DIR/log/users.log"; }
  WATCH=m4 within 30 "m4 is up, with users" users_of_m4
  launch dumps "$HERE/dumps.sh" --dir "$DIR" --every 4
  within 30 "there is a dump" newest >/dev/null
fi
up=yes
print_fields
