#!/usr/bin/env bash
# Puts a node into maintenance, as before an upgrade: it takes no clients any more, sends those that it has away, and
# hands the queues that it leads over to others.
#
#   switchover.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?switchover.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
tool rabbitmq-upgrade "$node" drain >>"$DIR/log/maintenance.log" 2>&1 || die "$(tail -1 "$DIR/log/maintenance.log")"
echo "name=$node"
