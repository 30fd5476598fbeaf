#!/usr/bin/env bash
# The disaster: the server NAME dies (SIGKILL, with all its children) and its data folder is gone, with its WAL.
#
#   lose-data.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?lose-data.sh needs the name of a server: ${NODES[*]}}
is_node "$node"

read -r pid _ < <(postmaster_of "$DIR/$node/data") || true
# All at once: a child that outlives the postmaster could still archive what it had.
[[ -z ${pid:-} ]] || tree_of "$pid" | end_processes KILL
end_orphans "$DIR/$node/data"
rm -rf "$DIR/$node/data"
