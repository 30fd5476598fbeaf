#!/usr/bin/env bash
# Brings up an etcd cluster of three members on loopback, with keys of an application, and a loop that takes a
# snapshot every few seconds, as a job would every few hours.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-etcd)
# --base-port PORT  all ports follow from this one (default 16970, or $BLACKSTART_BASE_PORT)
#
# Heartbeats every 100 ms and elections after 1 s, as by default. Prints its fields as key=value lines once all is in
# order. Run again: nothing happens if it is up as asked. If anything fails, it says what, ends what it started, and
# exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-16970}}
need_tools etcd etcdctl jq ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
members=127.0.0.1:$(port_of e1),127.0.0.1:$(port_of e2),127.0.0.1:$(port_of e3)
e1=127.0.0.1:$(port_of e1)
e2=127.0.0.1:$(port_of e2)
e3=127.0.0.1:$(port_of e3)
FIELDS
}
settings() { printf 'BASE=%q\n' "$BASE"; }
all_up() {
  local name
  for name in "${NODES[@]}" snapshots; do runs "$name" || return 1; done
  all_serve && has_stock e1
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

ports=()
for node in "${NODES[@]}"; do ports+=("$(port_of "$node")" "$(peer_of "$node")"); done
need_free_ports "${ports[@]}"
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

echo first >"$DIR/token"
mkdir -p "$DIR/snapshots"
chmod 700 "$DIR/snapshots"
for node in "${NODES[@]}"; do
  mkdir -p "$DIR/$node"
  chmod 700 "$DIR/$node"
done
((EUID != 0)) || chown "$RUN_AS" "$DIR/snapshots" "${NODES[@]/#/$DIR/}"
for node in "${NODES[@]}"; do launch_member "$node"; done
within 30 "three members serve" all_serve
# Fifty keys a transaction: a quick way in. Put again if a new leader had to be elected meanwhile.
put_stock() {
  local n m
  for ((n = 1; n <= STOCK; n += 50)); do
    { echo; for ((m = n; m < n + 50 && m <= STOCK; m++)); do echo "put stock/$m item-$m"; done; echo; echo; } |
      ctl e1 txn >>"$DIR/log/stock.log" || return 1
  done
  has_stock e1
}
within 30 "the application's keys are there" put_stock
launch snapshots "$(readlink -f "$(dirname "$0")")/snapshots.sh" --dir "$DIR" --every 4
within 20 "there is a snapshot" newest >/dev/null
up=yes
print_fields
