# What the scripts of the PostgreSQL pair share: names, ports, and how a node is started. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=postgres-pair
NODES=(pg1 pg2)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# All ports follow from one: the port clients use BASE (HAProxy or PgBouncer, pointed at one node), HAProxy's admin BASE+2,
# PostgreSQL BASE+21 and BASE+22, the page BASE+80.
set_ports() { WRITE_PORT=$BASE ADMIN_PORT=$((BASE + 2)) PAGE_PORT=$((BASE + 80)); }
pg_port() { echo $((BASE + 20 + ${1#pg})); }
other() { [[ $1 == pg1 ]] && echo pg2 || echo pg1; }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }

is_primary() { [[ $(sql "$(pg_port "$1")" postgres postgres "select not pg_is_in_recovery()" 2>/dev/null) == t ]]; }

# The node that runs as primary; fails when there is none.
primary() {
  local node
  for node in "${NODES[@]}"; do is_primary "$node" && echo "$node" && return 0; done
  return 1
}

# STANDBY replicates from the other node; with --sync also: commits there wait for it.
streams() {
  local states="'async', 'potential', 'sync', 'quorum'"
  [[ -z $SYNC ]] || states="'sync', 'quorum'"
  [[ $(sql "$(pg_port "$(other "$1")")" postgres postgres "select count(*) from pg_stat_replication
    where application_name = '$1' and state = 'streaming' and sync_state in ($states)" 2>/dev/null) == 1 ]]
}

serves_writes() { [[ $(sql "$WRITE_PORT" app app "select not pg_is_in_recovery()" 2>/dev/null) == t ]]; }

launch_postgres() {
  end_orphans "$DIR/$1/data"
  launch "$1" "$PGBIN/postgres" -D "$DIR/$1/data"
}

# The clients' port leads to one node. shut_port NODE: it leads there no more, so that nobody writes to a primary that is not one
# any more. HAProxy sends away who came by it; PgBouncer leads who comes now to the other node, which refuses writes until it is
# promoted, and who is there goes when NODE does. open_port NODE: it leads to NODE.
shut_port() {
  if [[ -n $PGBOUNCER ]]; then
    point_pgbouncer "$(other "$1")"
    return 0
  fi
  haproxy_says "set server write/$1 state maint"
  haproxy_says "shutdown sessions server write/$1"
}
open_port() {
  if [[ -n $PGBOUNCER ]]; then
    point_pgbouncer "$1"
    return 0
  fi
  haproxy_says "set server write/$1 state ready"
}
point_pgbouncer() {
  bouncer_config "$1"
  sql "$WRITE_PORT" bouncer pgbouncer RELOAD
}

# PgBouncer's configuration, with its database at NODE. Sessions are pooled, not transactions: clients that prepare
# statements need that before version 1.21. Shortened, so that a drill is short: server_login_retry (15 s), by which it notices
# that a server is back, and query_wait_timeout (120 s), which is how long a client waits for a server.
bouncer_config() {
  cat >"$DIR/pgbouncer.ini.new" <<INI
[databases]
app = host=127.0.0.1 port=$(pg_port "$1") dbname=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $WRITE_PORT
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $DIR/pgbouncer.users
admin_users = bouncer
pool_mode = session
default_pool_size = 60
max_client_conn = 500
server_login_retry = 1
server_connect_timeout = 2
query_wait_timeout = 5
ignore_startup_parameters = extra_float_digits,options
INI
  chmod 644 "$DIR/pgbouncer.ini.new"
  mv "$DIR/pgbouncer.ini.new" "$DIR/pgbouncer.ini"
}

# Tells HAProxy over its admin port; whatever it answers is an error.
haproxy_says() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$ADMIN_PORT"
  echo "$1" >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ -z ${answer//[$'\n ']/} ]] || die "haproxy refused \"$1\": $answer"
}

# Makes commits on NODE wait for the other one (only with --sync, and only once that one streams).
require_standby() {
  [[ -n $SYNC ]] || return 0
  sql "$(pg_port "$1")" postgres postgres "alter system set synchronous_standby_names = '$(other "$1")'" \
    "select pg_reload_conf()" >/dev/null
}
