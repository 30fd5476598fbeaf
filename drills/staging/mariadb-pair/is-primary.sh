#!/usr/bin/env bash
# Succeeds when NAME is the one node that takes writes; with --not, when another node is.
#
#   is-primary.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-primary.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

named=$(primary) || die "no node takes writes"
! is_primary "$(other "$named")" || die "both nodes take writes"
if [[ -n $NOT ]]; then
  [[ $named != "$node" ]] || die "$node is primary"
else
  [[ $named == "$node" ]] || die "$named is primary"
fi
echo "name=$named"
