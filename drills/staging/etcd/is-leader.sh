#!/usr/bin/env bash
# Succeeds when NAME leads; with --not, when another member does.
#
#   is-leader.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-leader.sh needs the name of a member: ${NODES[*]}}
is_node "$node"
leader=$(leader) || die "no member says that it leads"
if [[ -n $NOT ]]; then
  [[ $leader != "$node" ]] || die "$node leads"
else
  [[ $leader == "$node" ]] || die "$leader leads"
fi
echo "name=$leader"
