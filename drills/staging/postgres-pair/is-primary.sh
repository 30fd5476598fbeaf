#!/usr/bin/env bash
# Succeeds when node NAME runs as primary.
#
#   is-primary.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?is-primary.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

is_primary "$node" || die "$node does not run as primary"
echo "name=$node"
