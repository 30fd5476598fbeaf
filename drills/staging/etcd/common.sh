# What the scripts of the etcd staging share: names, ports, and questions to members. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=etcd
NODES=(e1 e2 e3)
# Keys of the application besides the drill's ledger, made when the staging comes up.
STOCK=200
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
RUN_AS=etcd
export ETCDCTL_API=3

# All ports follow from one: for clients BASE+1..3, among members BASE+11..13.
set_ports() { :; }
port_of() { echo $((BASE + ${1#e})); }
peer_of() { echo $((BASE + 10 + ${1#e})); }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no member \"$1\" here (there are ${NODES[*]})"; }
url_of() { echo "http://127.0.0.1:$(port_of "$1")"; }
peer_url() { echo "http://127.0.0.1:$(peer_of "$1")"; }
all_urls() { echo "$(url_of e1),$(url_of e2),$(url_of e3)"; }
cluster() { echo "e1=$(peer_url e1),e2=$(peer_url e2),e3=$(peer_url e3)"; }

# `ctl NODE|all WORD…`: etcdctl's answer.
ctl() {
  local at
  [[ $1 == all ]] && at=$(all_urls) || at=$(url_of "$1")
  shift
  etcdctl --endpoints "$at" --dial-timeout 1s --command-timeout 5s "$@" 2>/dev/null
}

# A member answers a read that a majority has to agree to.
serves() { ctl "$1" get blackstart.nobody >/dev/null; }
all_serve() { local n; for n in "${NODES[@]}"; do serves "$n" || return 1; done; }

# Members as lines "name id leader-id", of those that answer.
statuses() {
  local node
  for node in "${NODES[@]}"; do
    ctl "$node" endpoint status -w json | jq -r --arg name "$node" \
      '.[0].Status | "\($name) \(.header.member_id) \(.leader)"' 2>/dev/null || true
  done
}

# The member that says itself that it leads; fails when there is none.
leader() { statuses | awk '$2 == $3 && !found { print $1; found = 1 } END { exit !found }'; }

# Those that say how a cluster begins do not matter to a member that has data already.
launch_member() {
  launch "$1" etcd --name "$1" --data-dir "$DIR/$1/data" --logger zap --log-outputs stderr --log-level warn \
    --listen-client-urls "$(url_of "$1")" --advertise-client-urls "$(url_of "$1")" \
    --listen-peer-urls "$(peer_url "$1")" --initial-advertise-peer-urls "$(peer_url "$1")" \
    --initial-cluster "$(cluster)" --initial-cluster-state new --initial-cluster-token "$(cat "$DIR/token")" \
    --heartbeat-interval 100 --election-timeout 1000 --max-wals 2 --max-snapshots 2
}

# All of the application's keys are there, and the last of them is what it was.
has_stock() {
  [[ $(ctl "$1" get stock/ --prefix --keys-only | grep -c .) == "$STOCK" ]] &&
    [[ $(ctl "$1" get "stock/$STOCK" --print-value-only) == "item-$STOCK" ]]
}

# The newest snapshot that is sound, by what etcd's own tool says of it; fails when there is none.
newest() {
  local file
  while read -r file; do
    ! etcdctl snapshot status "$DIR/snapshots/$file" >/dev/null 2>&1 || { echo "$file"; return 0; }
  done < <(ls -1 "$DIR/snapshots" | grep -E '^[0-9]+\.db$' | sort -rn)
  return 1
}
