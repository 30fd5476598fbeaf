# What the scripts of the staging of three nodes share: names, ports, and questions to nodes. Sourced, never run. The nodes are
# doubles of Elasticsearch, from the folder double/.
# shellcheck shell=bash disable=SC2034
STAGING=elasticsearch
NODES=(e1 e2 e3)
# Documents of the application besides the drill's ledger, made when the staging comes up.
STOCK=300
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# No server of its own needs a user of its own.
RUN_AS=daemon
HERE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
export PYTHONDONTWRITEBYTECODE=1

# All ports follow from one: BASE+1..3.
set_ports() { :; }
port_of() { echo $((BASE + ${1#e})); }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no node \"$1\" here (there are ${NODES[*]})"; }
# That of the machine: another one may be out of reach for the user.
PYTHON=$([[ -x /usr/bin/python3 ]] && echo /usr/bin/python3 || command -v python3)
launch_node() { launch "$1" "$PYTHON" "$HERE/double/node.py" "$1" "$DIR/settings.json"; }

# `es NODE|any METHOD PATH [BODY]`: an answer; fails when it is an error.
es() {
  local node=$1 method=$2 path=$3 body=${4:-}
  if [[ $node == any ]]; then
    for node in "${NODES[@]}"; do es "$node" "$method" "$path" "$body" 2>/dev/null && return 0; done
    return 1
  fi
  # The password goes in on stdin, so that it is in no process list.
  printf 'user = "drill:%s"\n' "$(cat "$DIR/drill.password")" |
    curl -sS -f --max-time 20 -K - -X "$method" -H 'content-type: application/json' ${body:+--data-binary "$body"} \
      "http://127.0.0.1:$(port_of "$node")$path"
}

all_there() { [[ $(es "$1" GET /_cluster/health 2>/dev/null | jq -r .number_of_nodes) == 3 ]]; }
all_green() { [[ $(es any GET /_cluster/health | jq -r '"\(.status) \(.number_of_nodes)"') == "green 3" ]]; }
# The run's own index, by its alias.
ledger_index() { es any GET '/blackstart_ledger-*/_mapping' | jq -r 'keys[0] // empty'; }
primary_of() { es any GET "/_cat/shards/$1?format=json" | jq -r '.[] | select(.prirep == "p" and .state == "STARTED") | .node'; }
docs_of() { es any POST "/$1/_refresh" >/dev/null && es any GET "/$1/_count" | jq -r .count; }
# The newest snapshot that is sound; fails when there is none.
newest() { es any GET /_snapshot/backup/_all | jq -er '[.snapshots[] | select(.state == "SUCCESS")] | last | .snapshot'; }
