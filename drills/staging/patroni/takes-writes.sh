#!/usr/bin/env bash
# Exit status 0 if the node NAME takes writes now, asked by SQL; with --not: if it does not. Only looks.
#
#   takes-writes.sh [--dir DIR] [--not] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
node=${ARGS[0]:?takes-writes.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

if takes_writes "$node"; then now=yes; else now=no; fi
echo "takes writes: $now"
if [[ -n $NOT ]]; then [[ $now == no ]]; else [[ $now == yes ]]; fi
