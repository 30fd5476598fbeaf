#!/usr/bin/env bash
# Promotes the replica NAME and points the clients' port at it: what a runbook would have people do. The old primary is
# fenced first (the port no longer leads to it), and NAME applies all that it received before it takes writes. While the
# old one still takes writes, promotion is refused: that would be a split brain (switchover.sh changes roles in order).
#
#   promote.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?promote.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
old=$(other "$node")
! is_primary "$old" || die "$old still takes writes; stop it first, or use switchover.sh"

fence "$old"
if ! is_primary "$node"; then
  sql "$node" "stop slave io_thread"
  within 60 "$node has applied what it received" applied "$node"
  become_primary "$node"
fi
lead_to "$node"
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=$node"
