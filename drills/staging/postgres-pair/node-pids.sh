#!/usr/bin/env bash
# Prints a node: its name as name=pg1, then the pid of its postmaster.
#
#   node-pids.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?node-pids.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

read -r postmaster _ < <(postmaster_of "$DIR/$node/data") || die "no postmaster runs in $DIR/$node/data"
echo "name=$node"
echo "port=$(pg_port "$node")"
echo "$postmaster"
