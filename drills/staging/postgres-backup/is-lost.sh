#!/usr/bin/env bash
# Exit status 0 when the data folder of the server NAME is gone and nothing answers on its port.
#
#   is-lost.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?is-lost.sh needs the name of a server: ${NODES[*]}}
is_node "$node"

[[ ! -e $DIR/$node/data ]] || die "$DIR/$node/data is there"
! answers "$node" || die "$node answers on port $(pg_port "$node")"
echo "$DIR/$node/data is gone"
