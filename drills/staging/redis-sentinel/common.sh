# What the scripts of the Redis staging share: names, ports, and questions to nodes and Sentinels. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=redis-sentinel
NODES=(r1 r2 r3)
SENTINELS=(s1 s2 s3)
# What the Sentinels call the primary and its replicas.
NAME=orders
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
RUN_AS=redis

# All ports follow from one: Redis BASE+1..3, Sentinel BASE+11..13.
set_ports() { :; }
port_of() { case $1 in r*) echo $((BASE + ${1#r})) ;; s*) echo $((BASE + 10 + ${1#s})) ;; esac; }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }

# `ask NODE WORD…`: redis-cli's answer; fails when the node does not answer or refuses. The password goes by the
# environment, so that it is in no process list.
ask() {
  local node=$1 answer
  shift
  answer=$(REDISCLI_AUTH=$(cat "$DIR/app.password") timeout 3 redis-cli --no-auth-warning -h 127.0.0.1 \
    -p "$(port_of "$node")" "$@" 2>/dev/null) || return 1
  case $answer in
    LOADING* | NOAUTH* | WRONGPASS* | ERR\ * | READONLY* | NOREPLICAS* | MASTERDOWN* | NOGOODSLAVE* | INPROG*)
      echo "$answer" >&2
      return 1
      ;;
  esac
  echo "$answer"
}

# A field of INFO replication.
replication() { ask "$1" info replication | tr -d '\r' | sed -n "s/^$2://p"; }

role_of() { replication "$1" role; }
is_primary() { [[ $(role_of "$1") == master ]]; }

# NODE replicates from a primary, and has its data set.
follows() { [[ $(replication "$1" master_link_status) == up ]]; }

# The node that the Sentinels name; fails when they do not agree or do not answer.
named_by_sentinels() {
  local sentinel port named=
  for sentinel in "${SENTINELS[@]}"; do
    port=$(ask "$sentinel" sentinel get-master-addr-by-name "$NAME" | sed -n 2p) || return 1
    [[ -n $port && (-z $named || $named == "$port") ]] || return 1
    named=$port
  done
  echo "r$((named - BASE))"
}

# The node that the Sentinels name, if it is primary; fails when there is none.
primary() {
  local node
  node=$(named_by_sentinels) && is_primary "$node" && echo "$node"
}
has_primary() { primary >/dev/null; }

# Every Sentinel knows the other two and both replicas, and could fail over.
sentinels_agree() {
  local sentinel
  for sentinel in "${SENTINELS[@]}"; do
    [[ $(ask "$sentinel" sentinel ckquorum "$NAME") == OK\ 3\ usable* ]] || return 1
    [[ $(ask "$sentinel" sentinel master "$NAME" | grep -A1 -x num-slaves | sed -n 2p) == 2 ]] || return 1
  done
}

# What a Sentinel thinks is wrong with the primary (master) or with the replicas (replicas); nothing if nothing.
flags_at() {
  local seen
  seen=$(ask "$1" sentinel "$2" "$NAME") || { echo silent; return; }
  grep -A1 -x flags <<<"$seen" | grep -E 'down|disconnected|failover' || true
}

# Two replicas are online with the primary, and no Sentinel thinks that any of the nodes is down.
all_in_order() {
  local node sentinel
  node=$(primary) || return 1
  [[ $(replication "$node" connected_slaves) == 2 && $(ask "$node" info replication | grep -c state=online) == 2 ]] ||
    return 1
  for sentinel in "${SENTINELS[@]}"; do
    [[ -z $(flags_at "$sentinel" master; flags_at "$sentinel" replicas) ]] || return 1
  done
}

# `launch_node NODE [OPTION…]`: options count more than what its configuration says.
launch_node() { launch "$1" redis-server "$DIR/$1/redis.conf" "${@:2}"; }
launch_sentinel() { launch "$1" redis-server "$DIR/$1/sentinel.conf" --sentinel; }
