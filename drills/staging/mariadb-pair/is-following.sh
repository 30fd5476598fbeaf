#!/usr/bin/env bash
# Succeeds when one node takes writes and the other one follows it; with --not, when no node receives what another one
# logs.
#
#   is-following.sh [--dir DIR] [--not]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging

if [[ -n $NOT ]]; then
  for node in "${NODES[@]}"; do
    [[ $(replica_says "$node" Slave_IO_Running) != Yes ]] || die "$node receives"
  done
  echo "no node receives"
else
  node=$(primary) || die "no node takes writes"
  follows "$(other "$node")" || die "$(other "$node") does not follow $node"
  echo "$(other "$node") follows $node"
fi
