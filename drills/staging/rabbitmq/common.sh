# What the scripts of the RabbitMQ staging share: names, ports, and questions to nodes. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=rabbitmq
# One with --single; what up.sh was told is in the settings.
NODES=(r1 r2 r3)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
RUN_AS=rabbitmq
HOME_OF_RABBITMQ=/usr/lib/rabbitmq

# All ports follow from one: for clients BASE+1..3, management BASE+4..6, among nodes BASE+7..9, epmd BASE+10.
set_ports() { set_environment; }
port_of() { echo $((BASE + ${1#r})); }
management_of() { echo $((BASE + 3 + ${1#r})); }
distribution_of() { echo $((BASE + 6 + ${1#r})); }
epmd_port() { echo $((BASE + 10)); }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }

# `api NODE PATH [curl options…]`: what a node's management answers. The password is in a file that curl reads, so that
# it is in no process list.
api() {
  local node=$1 path=$2
  shift 2
  curl -sS -f --max-time 5 -K "$DIR/curlrc" -H 'content-type: application/json' "$@" \
    "http://127.0.0.1:$(management_of "$node")/api$path" 2>/dev/null
}

# The same from the first node that answers.
api_any() {
  local node
  for node in "${NODES[@]}"; do ! api "$node" "$@" || return 0; done
  return 1
}

# One of RabbitMQ's own programs, as the servers' user, about a node.
tool() {
  local program=$1 node=$2
  shift 2
  as_owner env "${ENVIRONMENT[@]}" RABBITMQ_NODENAME="$node@localhost" "$HOME_OF_RABBITMQ/bin/$program" --quiet "$@"
}

# For the servers and their programs alike. The cookie is in HOME.
set_environment() {
  ENVIRONMENT=(
    HOME="$DIR/home" LANG=C.UTF-8
    ERL_EPMD_PORT="$(epmd_port)" ERL_EPMD_ADDRESS=127.0.0.1
    RABBITMQ_CONF_ENV_FILE="$DIR/none" RABBITMQ_ENABLED_PLUGINS_FILE="$DIR/plugins"
  )
}

# A node's own settings. Memory and logs are kept small; statistics come every second instead of every five, so that what
# management says is fresh. Failover itself is as by default.
configuration() {
  local node number=0
  cat <<CONF
listeners.tcp.1 = 127.0.0.1:$(port_of "$1")
management.tcp.ip = 127.0.0.1
management.tcp.port = $(management_of "$1")
cluster_name = blackstart
cluster_partition_handling = pause_minority
default_user = app
default_pass = $(cat "$DIR/app.password")
default_user_tags.administrator = true
vm_memory_high_watermark.absolute = 400MB
disk_free_limit.absolute = 1MB
raft.wal_max_size_bytes = 8388608
collect_statistics_interval = 1000
log.file.level = warning
cluster_formation.peer_discovery_backend = classic_config
CONF
  for node in "${NODES[@]}"; do
    number=$((number + 1))
    echo "cluster_formation.classic_config.nodes.$number = $node@localhost"
  done
}

# With NOTIFY_SOCKET the server takes the place of the script that starts it, so that its pid is known.
launch_node() {
  local node=$1
  launch "$node" env "${ENVIRONMENT[@]}" NOTIFY_SOCKET="$DIR/none" RABBITMQ_NODENAME="$node@localhost" \
    RABBITMQ_CONFIG_FILE="$DIR/$node.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$DIR/none" \
    RABBITMQ_DIST_PORT="$(distribution_of "$node")" RABBITMQ_MNESIA_BASE="$DIR/$node" \
    RABBITMQ_LOG_BASE="$DIR/log" RABBITMQ_LOGS="$DIR/log/$node.server.log" RABBITMQ_PID_FILE="$DIR/$node.pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}" \
    "$HOME_OF_RABBITMQ/bin/rabbitmq-server"
}

# A node answers and counts all others among those that run.
serves() { [[ $(api "$1" /nodes | jq '[.[] | select(.running)] | length' 2>/dev/null) == "${#NODES[@]}" ]]; }
all_serve() { local n; for n in "${NODES[@]}"; do serves "$n" || return 1; done; }

# The queue of the drill that runs now: what earlier ones left is removed when the next one begins. Before the first one
# has made its own, the application's stands for it.
ledger_queue() {
  api_any "/queues/%2F?columns=name" |
    jq -er '[.[].name | select(test("^blackstart_ledger\\.[0-9]{8}T[^.]*$"))] | sort | last // "stock"'
}

# What a queue says: `queue NAME FILTER`. The node that a member is on is called NODE@localhost.
queue() { api_any "/queues/%2F/$1" | jq -er "$2"; }

# The node that leads a queue (or has it, if it is not replicated); fails when there is none.
leader() { queue "$1" '.leader // .node | sub("@.*"; "")'; }

# Takes a message out of a queue and puts it back; fails when there is none. What management counts may be stale, and says
# nothing of what can be had.
has_message() {
  api_any "/queues/%2F/$1/get" -d '{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}' | jq -e 'length == 1' >/dev/null
}

# The newest copy of a node's disk that was finished; fails when there is none.
newest() {
  local found
  found=$({ ls -1 "$DIR/copies" | grep -E '^[0-9]+$' || true; } | sort -n | tail -1)
  [[ -n $found ]] && echo "$found"
}
