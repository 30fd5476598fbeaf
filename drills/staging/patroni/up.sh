#!/usr/bin/env bash
# Brings up a three-node Patroni cluster (PostgreSQL) with one etcd behind HAProxy, and a page in front, on loopback.
#
#   up.sh [--dir DIR] [--base-port PORT] [--sync] [--short]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-patroni)
# --base-port PORT  all ports follow from this one (default 15000, or $BLACKSTART_BASE_PORT)
# --sync            a commit waits for one standby (Patroni's synchronous_mode); default: asynchronous
# --short           a failover takes about 10 s instead of 20 (ttl 10 s, loop_wait 1 s, retry_timeout 4 s)
#
# Nodes speak to each other and to etcd over one process each, the cable of their host (pids/pg1-line …); clients, through
# HAProxy, do not. In the database is a table that nobody changes (customers), larger than the server keeps of it in memory.
#
# Prints its fields as key=value lines once writes are served and both standbys stream. Run again: nothing happens if it
# is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(sync short)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15000}}
set_ports
find_postgres
need_tools patroni etcd haproxy curl jq ss setpriv /usr/bin/python3

print_fields() {
  cat <<FIELDS
dir=$DIR
write_port=$WRITE_PORT
read_port=$READ_PORT
nodes=127.0.0.1:$(pg_port pg1),127.0.0.1:$(pg_port pg2),127.0.0.1:$(pg_port pg3)
rest_port=$REST_PORT
page_port=$PAGE_PORT
password_file=$DIR/app.password
FIELDS
}

settings() { printf 'BASE=%q\nSYNC=%q\nSHORT=%q\nPGBIN=%q\n' "$BASE" "$SYNC" "$SHORT" "$PGBIN"; }

all_up() {
  local name
  for name in etcd haproxy page "${NODES[@]}" "${NODES[@]/%/-line}"; do runs "$name" || return 1; done
  serves_writes && both_stream
}

both_stream() {
  local primary node
  primary=$(leader) || return 1
  for node in "${NODES[@]}"; do [[ $node == "$primary" ]] || streams "$node" || return 1; done
  [[ -z $SYNC ]] || waits_for_standby
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, or one with other settings: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$WRITE_PORT" "$READ_PORT" "$ADMIN_PORT" "$REST_PORT" "$PAGE_PORT" "$ETCD_PORT" "$ETCD_PEER_PORT" \
  $((BASE + 21)) $((BASE + 22)) $((BASE + 23)) $((BASE + 31)) $((BASE + 32)) $((BASE + 33)) \
  $((BASE + 51)) $((BASE + 52)) $((BASE + 53)) $((BASE + 61)) $((BASE + 62)) $((BASE + 63)) \
  $((BASE + 71)) $((BASE + 72)) $((BASE + 73))
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
"$(dirname "$0")/configure.sh" --dir "$DIR"

launch etcd etcd --name etcd --data-dir "$DIR/etcd" --logger zap --log-level warn \
  --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
  --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
  --initial-cluster "etcd=http://127.0.0.1:$ETCD_PEER_PORT"
WATCH=etcd within 20 "etcd answers on port $ETCD_PORT" curl -sf -o /dev/null "http://127.0.0.1:$ETCD_PORT/health"

for node in "${NODES[@]}"; do launch "$node-line" haproxy -db -f "$DIR/$node/line.cfg"; done

# The first node alone becomes leader, so that the drill always starts from pg1.
launch_patroni pg1
WATCH=pg1 within 90 "pg1 becomes leader" is_leader pg1
make_app_database "$(pg_port pg1)"
make_customers "$(pg_port pg1)"
launch_patroni pg2
launch_patroni pg3
launch haproxy haproxy -db -f "$DIR/haproxy.cfg"
within 90 "both standbys stream from pg1${SYNC:+, one of them synchronously}" both_stream
WATCH=haproxy within 20 "writes are served on port $WRITE_PORT" serves_writes
install -m 644 "$(dirname "$0")/../page.py" "$DIR/page.py"
launch page /usr/bin/python3 "$DIR/page.py" "$PAGE_PORT" "$WRITE_PORT" "$DIR/app.password"
WATCH=page within 20 "the page answers on port $PAGE_PORT" curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:$PAGE_PORT/"
up=yes
print_fields
