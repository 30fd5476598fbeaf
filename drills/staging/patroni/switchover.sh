#!/usr/bin/env bash
# Makes NAME the leader, in an orderly way (Patroni's switchover), and waits until it is. Already leader: nothing to do.
#
#   switchover.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?switchover.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
current=$(leader) || die "the cluster has no leader to switch from"
if [[ $current != "$node" ]]; then
  answer=$(curl -sS --max-time 60 -X POST "http://127.0.0.1:$(rest_port "$current")/switchover" \
    -H 'Content-Type: application/json' -d "{\"leader\": \"$current\", \"candidate\": \"$node\"}")
  within 60 "$node is leader (Patroni said: $answer)" is_leader "$node"
fi
echo "name=$node"
