#!/usr/bin/env bash
# Prints the pid of each node's postmaster and of its Patroni, one a line. Fails unless all of them run.
#
#   all-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

for node in "${NODES[@]}"; do
  read -r postmaster _ < <(postmaster_of "$DIR/$node/data") || die "no postmaster runs in $DIR/$node/data"
  runs "$node" || die "Patroni of $node does not run"
  echo "$postmaster"
  pid_of "$node"
done
