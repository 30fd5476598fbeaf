#!/usr/bin/env bash
# Makes NAME the leader, in an orderly way (Patroni's switchover), and waits until it is. Already leader: nothing to do.
#
#   switchover.sh [--dir DIR] [--no-wait] NAME
#
# --no-wait  only asks for it: for drills, which time the rest themselves

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(no-wait)
parse_options "$@"
load_staging
node=${ARGS[0]:?switchover.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
within 20 "the cluster has a leader to switch from" has_leader
current=$(leader)
if [[ $current != "$node" ]]; then
  # Patroni answers when it is done, so the request waits in the background.
  (cd / && exec setsid curl -sS --max-time 60 -X POST "http://127.0.0.1:$(rest_port "$current")/switchover" \
    -H 'Content-Type: application/json' -d "{\"leader\": \"$current\", \"candidate\": \"$node\"}") \
    </dev/null >"$DIR/log/switchover.log" 2>&1 &
  [[ -n $NO_WAIT ]] || within 60 "$node is leader" is_leader "$node" || die "Patroni said: $(cat "$DIR/log/switchover.log")"
fi
echo "name=$node"
