#!/usr/bin/env bash
# Brings the restored data set to where clients are: r1 starts empty, takes all of it from r2 as its replica, and is
# primary again. r2 is ended then. Nothing to do: nothing happens.
#
#   cut-over.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
if ! { runs r1 && has_stock r1 && is_primary r1; }; then
  has_stock r2 || die "r2 has not all keys of the application: there is nothing to cut over to"
  ! runs r1 || { cat "$DIR/pids/r1" | end_processes TERM; }
  rm -rf "$DIR/r1/data"
  as_owner mkdir -p "$DIR/r1/data"
  # A replica from its first moment on: no client can write to it before it has the data.
  launch r1 redis-server "$DIR/r1/redis.conf" --replicaof "127.0.0.1 $(port_of r2)"
  synced() { [[ $(info r1 replication master_link_status) == up ]] && has_stock r1; }
  WATCH=r1 within 60 "r1 has the data set of r2" synced
  ask r1 replicaof no one >/dev/null
  within 10 "r1 is primary" is_primary r1
fi
[[ ! -f $DIR/pids/r2 ]] || { cat "$DIR/pids/r2" | end_processes TERM; }
echo "keys=$(ask r1 dbsize)"
