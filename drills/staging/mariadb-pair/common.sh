# What the scripts of the MariaDB pair share: names, ports, and who follows whom. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=mariadb-pair
NODES=(m1 m2)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=../mariadb.sh
source "$(dirname "${BASH_SOURCE[0]}")/../mariadb.sh"

# All ports follow from one: the port clients use BASE (HAProxy, pointed at one node), its admin BASE+2, MariaDB BASE+21
# and BASE+22.
set_ports() { WRITE_PORT=$BASE ADMIN_PORT=$((BASE + 2)); }
port_of() { echo $((BASE + 20 + ${1#m})); }
other() { [[ $1 == m1 ]] && echo m2 || echo m1; }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }

# A node is primary when it takes writes. Every node starts read-only, so that one that comes back takes none.
is_primary() { takes_writes "$1"; }
primary() {
  local node
  for node in "${NODES[@]}"; do is_primary "$node" && echo "$node" && return 0; done
  return 1
}

# A field of SHOW REPLICA STATUS; nothing for a node that follows nobody.
replica_says() {
  timeout 10 mariadb --defaults-file="$DIR/root.cnf" --connect-timeout=3 -P "$(port_of "$1")" \
    -e 'show replica status\G' 2>/dev/null | sed -n "s/^ *$2: //p"
}

# NODE receives and applies what the other one logs; with --semisync also: commits there wait for it.
follows() {
  [[ $(replica_says "$1" Slave_IO_Running) == Yes && $(replica_says "$1" Slave_SQL_Running) == Yes ]] || return 1
  [[ $(replica_says "$1" Master_Port) == "$(port_of "$(other "$1")")" ]] || return 1
  [[ -z $SEMISYNC ]] || [[ $(sql "$(other "$1")" "select variable_value from information_schema.global_status
    where variable_name = 'RPL_SEMI_SYNC_MASTER_CLIENTS'") -ge 1 ]]
}

# The number of the last transaction in a node's binary log.
last_of() {
  local at
  at=$(sql "$1" "select @@global.gtid_binlog_pos")
  echo "${at##*-}"
}

# Has NODE applied all that it received?
applied() { [[ $(replica_says "$1" Gtid_IO_Pos) == "$(sql "$1" "select @@global.gtid_slave_pos")" ]]; }

# Makes NODE follow the other one from where it is. The password goes in on standard input, so that it is in no process
# list.
follow() {
  timeout 30 mariadb --defaults-file="$DIR/root.cnf" --connect-timeout=3 -P "$(port_of "$1")" <<SQL
set global read_only = 1;
stop slave;
change master to master_host = '127.0.0.1', master_port = $(port_of "$(other "$1")"), master_user = 'replicator',
  master_password = '$(cat "$DIR/replicator.password")', master_use_gtid = slave_pos, master_connect_retry = 1;
start slave;
SQL
}

# Makes commits on NODE wait for the other one (only with --semisync, and only once that one follows: a primary that is
# alone would wait for ever).
require_replica() {
  [[ -n $SEMISYNC ]] || return 0
  sql "$1" "set global rpl_semi_sync_master_enabled = 1"
}

# NODE becomes primary: it has applied all that it received.
become_primary() {
  sql "$1" "stop slave; reset slave all; set global rpl_semi_sync_master_enabled = 0"
  echo "$1 $(last_of "$1")" >"$DIR/promoted"
  sql "$1" "set global read_only = 0"
}

# Lines of a node's configuration. The heartbeat and the time-out are shortened, so that a replica notices a dead
# primary soon. With --semisync a commit waits for the replica before it is visible (AFTER_SYNC), and practically for
# ever: a shorter time-out would silently make it asynchronous.
node_lines() {
  echo read-only
  echo slave-net-timeout=4
  echo rpl-semi-sync-slave-enabled=1
  echo rpl-semi-sync-master-wait-point=AFTER_SYNC
  echo rpl-semi-sync-master-timeout=600000
}
configure() {
  local lines
  mapfile -t lines < <(node_lines)
  make_server "$1" "$(port_of "$1")" "${1#m}" "${lines[@]}"
}
