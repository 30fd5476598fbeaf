#!/usr/bin/env bash
# Brings up a Redis primary with two replicas and three Sentinels on loopback, each a process of its own with a folder
# of its own, and all with a password.
#
#   up.sh [--dir DIR] [--base-port PORT] [--min-replicas]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-redis-sentinel)
# --base-port PORT  all ports follow from this one (default 16900, or $BLACKSTART_BASE_PORT)
# --min-replicas    the primary takes writes only while a replica has confirmed within the last second
#                   (min-replicas-to-write 1, min-replicas-max-lag 1); default: it never asks
#
# Shortened, so that a drill is short: down-after-milliseconds is 1000 (Redis's own default is 30000; a busy machine, on
# which a server may be silent for a second, sets BLACKSTART_REDIS_DOWN_AFTER) and
# failover-timeout 6000 (default 180000). Prints its fields as key=value lines once all is in order. Run again:
# nothing happens if it is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(min-replicas)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-16900}}
need_tools redis-server redis-cli ss setpriv timeout

print_fields() {
  cat <<FIELDS
dir=$DIR
sentinels=127.0.0.1:$(port_of s1),127.0.0.1:$(port_of s2),127.0.0.1:$(port_of s3)
r1=127.0.0.1:$(port_of r1)
r2=127.0.0.1:$(port_of r2)
r3=127.0.0.1:$(port_of r3)
name=$NAME
password_file=$DIR/app.password
FIELDS
}
settings() { printf 'BASE=%q\nMIN_REPLICAS=%q\n' "$BASE" "$MIN_REPLICAS"; }

all_up() {
  local name
  for name in "${NODES[@]}" "${SENTINELS[@]}"; do runs "$name" || return 1; done
  is_primary r1 && sentinels_agree && all_in_order
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
# Half of a staging, one with other settings or roles: away with it first.
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

ports=()
for name in "${NODES[@]}" "${SENTINELS[@]}"; do ports+=("$(port_of "$name")"); done
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

make_password "$DIR/app.password"
password=$(cat "$DIR/app.password")

# Appending every write to a file, flushed each second: what a killed node had acknowledged is there when it starts
# again. A Sentinel that fails over writes into these files, so they belong to the servers' user.
node_config() {
  cat <<CONF
bind 127.0.0.1
port $(port_of "$1")
dir $DIR/$1/data
requirepass $password
masterauth $password
appendonly yes
appendfsync everysec
save ""
repl-diskless-sync-delay 0
repl-timeout 10
CONF
  [[ -z $MIN_REPLICAS ]] || printf 'min-replicas-to-write 1\nmin-replicas-max-lag 1\n'
  [[ $1 == r1 ]] || echo "replicaof 127.0.0.1 $(port_of r1)"
}
sentinel_config() {
  cat <<CONF
bind 127.0.0.1
port $(port_of "$1")
dir $DIR/$1/data
requirepass $password
sentinel sentinel-pass $password
sentinel monitor $NAME 127.0.0.1 $(port_of r1) 2
sentinel auth-pass $NAME $password
sentinel down-after-milliseconds $NAME ${BLACKSTART_REDIS_DOWN_AFTER:-1000}
sentinel failover-timeout $NAME 6000
sentinel parallel-syncs $NAME 2
CONF
}
for name in "${NODES[@]}" "${SENTINELS[@]}"; do
  mkdir -p "$DIR/$name/data"
  chmod 700 "$DIR/$name"
  case $name in
    r*) (umask 077 && node_config "$name" >"$DIR/$name/redis.conf") ;;
    s*) (umask 077 && sentinel_config "$name" >"$DIR/$name/sentinel.conf") ;;
  esac
  ((EUID != 0)) || chown -R "$RUN_AS" "$DIR/$name"
done

for node in "${NODES[@]}"; do launch_node "$node"; done
WATCH=r1 within 20 "r1 answers on port $(port_of r1)" is_primary r1
for node in r2 r3; do WATCH=$node within 20 "$node follows r1" follows "$node"; done
for sentinel in "${SENTINELS[@]}"; do launch_sentinel "$sentinel"; done
within 30 "the Sentinels know each other and both replicas" sentinels_agree
within 20 "two replicas are online" all_in_order
up=yes
print_fields
