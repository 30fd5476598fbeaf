#!/usr/bin/env bash
# Succeeds when clients are led to this region, or any if none is named, and it answers.
#
#   is-active.sh [--dir DIR] [NAME]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
active=$(cat "$DIR/active")
node=${ARGS[0]:-$active}
is_node "$node"
[[ $active == "$node" ]] || die "clients are led to region $active"
answers "$node" || die "region $node does not answer"
echo "active=$node"
