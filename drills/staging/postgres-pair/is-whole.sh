#!/usr/bin/env bash
# Succeeds when all is in order: one node is primary, the other streams from it, and writes are served.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "the pair has no primary now"
! is_primary "$(other "$node")" || die "both nodes run as primary"
streams "$(other "$node")" || die "$(other "$node") does not stream from $node"
serves_writes || die "writes are not served on port $WRITE_PORT"
echo "name=$node"
