#!/usr/bin/env bash
# Succeeds when NAME is the primary that all Sentinels name, and says so itself; with --not, when another node is.
#
#   is-primary.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-primary.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

named=$(primary) || die "there is no primary that all Sentinels name"
if [[ -n $NOT ]]; then
  [[ $named != "$node" ]] || die "$node is the primary"
else
  [[ $named == "$node" ]] || die "$named is the primary"
fi
echo "name=$named"
