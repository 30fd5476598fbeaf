# What the scripts of the Patroni staging share: names, ports and questions to Patroni. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=patroni
NODES=(pg1 pg2 pg3)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# All ports follow from one: write BASE, read BASE+1, HAProxy's admin BASE+2, PostgreSQL BASE+21..23, Patroni's REST API
# BASE+31..33 (and whichever node answers: BASE+30), etcd BASE+41 and BASE+42, the page BASE+80. A node's line to the
# others has ports of its own: to its PostgreSQL BASE+51..53, to its REST API BASE+61..63, from it to etcd BASE+71..73.
set_ports() {
  WRITE_PORT=$BASE READ_PORT=$((BASE + 1)) ADMIN_PORT=$((BASE + 2)) REST_PORT=$((BASE + 30))
  ETCD_PORT=$((BASE + 41)) ETCD_PEER_PORT=$((BASE + 42)) PAGE_PORT=$((BASE + 80))
}
pg_port() { echo $((BASE + 20 + ${1#pg})); }
rest_port() { echo $((BASE + 30 + ${1#pg})); }
pg_line() { echo $((BASE + 50 + ${1#pg})); }
rest_line() { echo $((BASE + 60 + ${1#pg})); }
etcd_line() { echo $((BASE + 70 + ${1#pg})); }

is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }

# `ask NODE PATH`: Patroni's answer, whatever its status code; fails when it does not answer.
ask() { curl -sS --max-time 2 "http://127.0.0.1:$(rest_port "$1")/$2" 2>/dev/null; }

# The cluster as the first node that answers sees it.
cluster() {
  local node
  for node in "${NODES[@]}"; do ask "$node" cluster && return 0; done
  return 1
}

# Name of the node that runs as primary and holds the leader key; fails when there is none.
leader() {
  local node
  for node in "${NODES[@]}"; do
    [[ $(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "http://127.0.0.1:$(rest_port "$node")/primary") == 200 ]] &&
      echo "$node" && return 0
  done
  return 1
}
has_leader() { leader >/dev/null; }
is_leader() { [[ $(leader) == "$1" ]]; }

# NODE replicates from the current leader.
streams() {
  local primary
  primary=$(leader) || return 1
  [[ $(sql "$(pg_port "$primary")" postgres postgres \
    "select count(*) from pg_stat_replication where application_name = '$1' and state = 'streaming'" 2>/dev/null) == 1 ]]
}

# With synchronous_mode: the leader waits for a standby.
waits_for_standby() {
  local primary
  primary=$(leader) || return 1
  [[ $(sql "$(pg_port "$primary")" postgres postgres \
    "select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')" 2>/dev/null) -ge 1 ]]
}

serves_writes() {
  [[ $(sql "$WRITE_PORT" app app "select not pg_is_in_recovery()" 2>/dev/null) == t ]]
}

# NODE itself says that it takes writes, whatever Patroni knows of it.
takes_writes() { [[ $(sql "$(pg_port "$1")" app app "show transaction_read_only" 2>/dev/null) == off ]]; }

# A host that died took every process with it: what a killed postmaster left behind goes first.
launch_patroni() {
  end_orphans "$DIR/$1/data"
  launch "$1" patroni "$DIR/$1/patroni.yml"
}

# What a drill damages and repairs: 24 MB that nobody changes. A table of more than a quarter of shared_buffers is read
# from its file each time. Settled, so that nothing of it is written again by itself: that would hide damage to the old.
make_customers() {
  sql "$1" postgres app "create extension amcheck"
  sql "$1" app app "create table customers as
    select n as id, 'customer ' || n as name, repeat(md5(n::text), 20) as note from generate_series(1, 34000) as n"
  settle_customers "$1"
}
settle_customers() {
  sql "$1" app app "vacuum (freeze, analyze) customers"
  sql "$1" postgres postgres "checkpoint"
}
