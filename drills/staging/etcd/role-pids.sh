#!/usr/bin/env bash
# Prints members by what they are now: the leader, a follower, or a majority (the leader and one follower).
#
#   role-pids.sh [--dir DIR] leader|follower|majority

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
leader=$(leader) || die "no member says that it leads"
follower=
for node in "${NODES[@]}"; do [[ $node == "$leader" ]] || follower=$node; done
case ${ARGS[0]:-} in
  leader) names=("$leader") ;;
  follower) names=("$follower") ;;
  majority) names=("$leader" "$follower") ;;
  *) die "needs one of leader, follower, majority" ;;
esac
exec "$(dirname "$0")/node-pids.sh" --dir "$DIR" "${names[@]}"
