# What the scripts of the Redis backup staging share: names, ports, questions to the servers. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=redis-backup
# r1 is the server that clients use, r2 where backups are restored: nothing runs there until then.
NODES=(r1 r2)
# Keys of the application besides the drill's ledger, made when the staging comes up.
STOCK=1000
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
RUN_AS=redis

# All ports follow from one: Redis BASE+1 and BASE+2.
set_ports() { :; }
port_of() { echo $((BASE + ${1#r})); }

# `ask NODE WORD…`: redis-cli's answer; fails when the node does not answer or refuses. The password goes by the
# environment, so that it is in no process list.
ask() {
  local node=$1 answer
  shift
  answer=$(REDISCLI_AUTH=$(cat "$DIR/app.password") timeout 10 redis-cli --no-auth-warning -h 127.0.0.1 \
    -p "$(port_of "$node")" "$@" 2>/dev/null) || return 1
  case $answer in
    LOADING* | NOAUTH* | WRONGPASS* | ERR\ * | READONLY* | MASTERDOWN*) echo "$answer" >&2; return 1 ;;
  esac
  echo "$answer"
}

info() { ask "$1" info "$2" | tr -d '\r' | sed -n "s/^$3://p"; }
answers() { [[ $(info "$1" persistence loading) == 0 ]]; }
is_primary() { [[ $(info "$1" replication role) == master ]]; }

# All of the application's keys are there, and the last of them is what it was.
has_stock() {
  answers "$1" && [[ $(ask "$1" exists "stock:1" "stock:$STOCK") == 2 ]] &&
    [[ $(ask "$1" get "stock:$STOCK") == "item-$STOCK" ]]
}

# The configuration of a node (mode 0600: it holds the password). Every write is appended to a file, flushed each
# second.
configure() {
  mkdir -p "$DIR/$1/data"
  chmod 700 "$DIR/$1"
  (umask 077 && cat >"$DIR/$1/redis.conf") <<CONF
bind 127.0.0.1
port $(port_of "$1")
dir $DIR/$1/data
requirepass $(cat "$DIR/app.password")
masterauth $(cat "$DIR/app.password")
appendonly $2
appendfsync everysec
auto-aof-rewrite-percentage 0
save ""
repl-diskless-sync-delay 0
CONF
  ((EUID != 0)) || chown -R "$RUN_AS" "$DIR/$1"
}
launch_node() { launch "$1" redis-server "$DIR/$1/redis.conf"; }

# The newest backup that is sound, by what Redis's own tool says of it; fails when there is none.
newest() {
  local file
  while read -r file; do
    ! redis-check-rdb "$DIR/backups/$file" >/dev/null 2>&1 || { echo "$file"; return 0; }
  done < <(ls -1 "$DIR/backups" | grep -E '^[0-9.]+\.rdb$' | sort -rV)
  return 1
}
