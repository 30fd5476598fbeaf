#!/usr/bin/env bash
# Prints members by what they are now, as node-pids.sh does: the primary, or all secondaries.
#
#   role-pids.sh [--dir DIR] primary|secondaries

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
primary=$(primary) || die "there is no primary"
names=()
case ${ARGS[0]:-} in
  primary) names=("$primary") ;;
  secondaries) for node in "${NODES[@]}"; do [[ $node == "$primary" ]] || names+=("$node"); done ;;
  *) die "needs primary or secondaries" ;;
esac
exec "$HERE/node-pids.sh" --dir "$DIR" "${names[@]}"
