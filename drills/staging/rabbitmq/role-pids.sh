#!/usr/bin/env bash
# Prints a node by what it is now to the queue of the drill's ledger: the one that leads it (or has it, if it is not
# replicated), or one that follows.
#
#   role-pids.sh [--dir DIR] leader|follower

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
queue=$(ledger_queue) || die "there is no queue of a drill"
leader=$(leader "$queue") || die "no node leads $queue"
follower=
for node in "${NODES[@]}"; do [[ $node == "$leader" ]] || follower=$node; done
case ${ARGS[0]:-} in
  leader) name=$leader ;;
  follower) name=$follower ;;
  *) die "needs one of leader, follower" ;;
esac
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "$name"
