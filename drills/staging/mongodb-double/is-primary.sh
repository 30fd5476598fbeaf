#!/usr/bin/env bash
# Succeeds when NAME is the primary; with --not, when another member is.
#
#   is-primary.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?is-primary.sh needs the name of a member: ${NODES[*]}}
is_node "$node"

found=$(primary) || die "there is no primary"
if [[ -n $NOT ]]; then
  [[ $found != "$node" ]] || die "$node is the primary"
else
  [[ $found == "$node" ]] || die "$found is the primary"
fi
echo "name=$found"
