#!/usr/bin/env bash
# Brings up a RabbitMQ cluster of three nodes on loopback, with a quorum queue of an application and what is in it.
#
#   up.sh [--dir DIR] [--base-port PORT] [--single [--no-copies]] [--more FILE]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-rabbitmq)
# --base-port PORT  all ports follow from this one (default 17000, or $BLACKSTART_BASE_PORT)
#
# --single          one node, and a loop that copies its disk and exports its definitions every few seconds, as jobs would
#                   every few hours
# --no-copies       one node without that loop
# --more FILE       lines that are added to each node's configuration
#
# The nodes have an epmd, a cookie and a home of their own, so they meet no other Erlang on this machine. Statistics
# are collected every second instead of every five, so that what management says is fresh; nothing else is faster than
# it would be. Prints its fields as key=value lines once all is in order. Run again: nothing happens if it is up as
# asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(single no-copies more)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-17000}}
need_tools "$HOME_OF_RABBITMQ/bin/rabbitmq-server" epmd curl jq ss setpriv
set_environment
[[ -z $SINGLE ]] || NODES=(r1)
[[ -z $MORE || -f ${ARGS[0]:-} ]] || die "--more needs a file"

print_fields() {
  local node nodes=() management=()
  for node in "${NODES[@]}"; do
    nodes+=("127.0.0.1:$(port_of "$node")") management+=("127.0.0.1:$(management_of "$node")")
  done
  echo "dir=$DIR"
  (IFS=, && echo "nodes=${nodes[*]}" && echo "management=${management[*]}")
  echo "password_file=$DIR/app.password"
}
settings() { printf 'BASE=%q\nNODES=(%s)\n' "$BASE" "${NODES[*]}"; }
all_up() {
  local name
  for name in epmd "${NODES[@]}"; do runs "$name" || return 1; done
  all_serve && has_message stock
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

ports=("$(epmd_port)")
for node in "${NODES[@]}"; do ports+=("$(port_of "$node")" "$(management_of "$node")" "$(distribution_of "$node")"); done
need_free_ports "${ports[@]}"
make_staging
settings >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 8 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

make_password "$DIR/app.password"
make_password "$DIR/home.cookie"
mkdir -p "$DIR/home"
mv "$DIR/home.cookie" "$DIR/home/.erlang.cookie"
chmod 400 "$DIR/home/.erlang.cookie"
echo '[rabbitmq_management].' >"$DIR/plugins"
(umask 077 && echo "user = \"app:$(cat "$DIR/app.password")\"" >"$DIR/curlrc")
for node in "${NODES[@]}"; do
  mkdir -p "$DIR/$node"
  (umask 077 && configuration "$node" >"$DIR/$node.conf")
  [[ -z $MORE ]] || cat "${ARGS[0]}" >>"$DIR/$node.conf"
done
((EUID != 0)) || chown -R "$RUN_AS" "$DIR/home" "$DIR/plugins" "${NODES[@]/#/$DIR/}" "$DIR"/*.conf
# Its own, before the first node would start one that nobody ends.
launch epmd env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "$(epmd_port)" -address 127.0.0.1
listens() { [[ -n $(ss -Hltn "sport = :$(epmd_port)") ]]; }
within 10 "epmd listens" listens
for node in "${NODES[@]}"; do launch_node "$node"; done
within 120 "all nodes serve" all_serve
api r1 /queues/%2F/stock -X PUT -d '{"durable":true,"arguments":{"x-queue-type":"quorum"}}'
printf '{"properties":{"delivery_mode":2},"routing_key":"stock","payload":"item","payload_encoding":"string"}' >"$DIR/item"
item() { api r1 /exchanges/%2F/amq.default/publish -d "@$DIR/item" | jq -e .routed >/dev/null; }
within 20 "the application's queue takes messages" item
if [[ -n $SINGLE && -z $NO_COPIES ]]; then
  mkdir -p "$DIR/copies"
  chmod 700 "$DIR/copies"
  # As who started this: it holds the node still while its disk is copied.
  here=$(readlink -f "$(dirname "$0")")
  (cd / && exec setsid "$here/copies.sh" --dir "$DIR" --every 4) \
    </dev/null >>"$DIR/log/copies.log" 2>&1 &
  echo "$! $(started_at "$!")" >"$DIR/pids/copies"
  within 20 "there is a copy" newest >/dev/null
fi
up=yes
print_fields
