#!/usr/bin/env bash
# Succeeds when r1 serves the application's keys, as a primary. With NAME: when that server does.
#
#   is-whole.sh [--dir DIR] [NAME]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:-r1}
runs "$node" || die "$node does not run"
has_stock "$node" || die "$node has not all keys of the application"
is_primary "$node" || die "$node is no primary"
echo "$node has $(ask "$node" dbsize) keys"
