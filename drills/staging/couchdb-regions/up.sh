#!/usr/bin/env bash
# Brings up two regions, each a server that speaks CouchDB's protocol (PouchDB Server, from npm) with a database on disk,
# which replicate both ways over a link each; an entry for clients that leads to one of them; and a loop that dumps the
# database every few seconds, as a job would every few hours.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-couchdb-regions)
# --base-port PORT  all ports follow from this one (default 17730, or $BLACKSTART_BASE_PORT)
#
# Prints its fields as key=value lines once all is in order. Run again: nothing happens if it is up as asked. If anything
# fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-17730}}
set_ports
need_tools node haproxy curl jq ss setpriv /usr/bin/python3
[[ -f $SERVER ]] || die "not installed: pouchdb-server (tests/install.sh)"

print_fields() {
  cat <<FIELDS
dir=$DIR
entry=127.0.0.1:$ENTRY_PORT
a=127.0.0.1:$(port_of a)
b=127.0.0.1:$(port_of b)
database=$DATABASE
app_password=$DIR/app.password
admin_password=$DIR/admin.password
FIELDS
}
settings() { printf 'BASE=%q\n' "$BASE"; }
all_up() {
  local name
  for name in a b link-a-b link-b-a entry dumps; do runs "$name" || return 1; done
  serves a && serves b && has_stock a
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$HERE/down.sh" --dir "$DIR"

need_free_ports "$(port_of a)" "$(port_of b)" "$ENTRY_PORT" "$ADMIN_PORT" "$(link_port a)" "$(link_port b)"
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

make_password "$DIR/admin.password"
make_password "$DIR/app.password"
(umask 077 && echo "machine 127.0.0.1 login admin password $(cat "$DIR/admin.password")" >"$DIR/netrc")
((EUID != 0)) || chown "$RUN_AS" "$DIR/netrc"
mkdir -p "$DIR/dumps"
for region in "${REGIONS[@]}"; do
  mkdir -p "$DIR/$region/data"
  (
    umask 077
    jq -n --rawfile word "$DIR/admin.password" --argjson port "$(port_of "$region")" '{
      admins: {admin: ($word | rtrimstr("\n"))}, couch_httpd_auth: {require_valid_user: true},
      httpd: {port: $port, bind_address: "127.0.0.1"}, log: {file: "/dev/null", level: "error"}}' >"$DIR/$region/config.json"
  )
done
((EUID != 0)) || chown -R "$RUN_AS" "$DIR/dumps" "$DIR/a" "$DIR/b"
chmod 700 "$DIR/dumps" "$DIR/a" "$DIR/b"

cat >"$DIR/haproxy.cfg" <<CFG
global
  log stderr format raw daemon err
  stats socket ipv4@127.0.0.1:$ADMIN_PORT level admin
defaults
  mode http
  retries 0
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
frontend entry
  bind 127.0.0.1:$ENTRY_PORT
  default_backend regions
backend regions
  server a 127.0.0.1:$(port_of a)
  server b 127.0.0.1:$(port_of b) disabled
CFG

for region in "${REGIONS[@]}"; do
  launch_server "$region"
  launch_link "$region"
done
launch entry haproxy -db -f "$DIR/haproxy.cfg"
answers() { in_region "$1" GET "" | jq -e .version >/dev/null 2>&1; }
for region in "${REGIONS[@]}"; do
  WATCH=$region within 30 "region $region answers" answers "$region"
  furnish "$region"
done
jq -nc --argjson stock "$STOCK" '{docs: [range(1; $stock + 1) | {_id: "item:\(.)", count: ., of: {name: "item \(.)"}}]}' |
  in_region a POST "$DATABASE/_bulk_docs" >/dev/null
for region in "${REGIONS[@]}"; do replicate "$region"; done
for region in "${REGIONS[@]}"; do within 30 "the application's documents are in region $region" has_stock "$region"; done
launch dumps "$HERE/dumps.sh" --dir "$DIR" --every 4
within 20 "there is a dump" newest >/dev/null
up=yes
print_fields
