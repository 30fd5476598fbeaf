#!/usr/bin/env bash
# Prints the current leader: its name as name=pg1, then the pid of its postmaster and the pid of its Patroni, one a line.
#
#   leader-pids.sh [--dir DIR] [--patroni | --line]
#
# --patroni  only the pid of its Patroni
# --line     only the pid of its line to the other nodes and to etcd

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(patroni line)
parse_options "$@"
load_staging

node=$(leader) || die "the cluster has no leader now"
if [[ -n $PATRONI$LINE ]]; then
  process=$node${LINE:+-line}
  runs "$process" || die "there is no process $process"
  echo "name=$node"
  echo "port=$(pg_port "$node")"
  pid_of "$process"
  exit 0
fi
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$node"
