#!/usr/bin/env bash
# Succeeds when a region has all of the application's objects, and each is what it was.
#
#   is-whole.sh [--dir DIR] [NAME]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:-$(cat "$DIR/active")}
is_node "$node"
s3 "$node" whole
