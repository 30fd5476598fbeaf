#!/usr/bin/env bash
# Takes a node out for maintenance, and back again, as an operator does.
#
#   drain.sh [--dir DIR] NAME           no copies on it any more, then it is stopped (SIGTERM)
#   drain.sh [--dir DIR] --check NAME   succeeds when it is stopped, and another node holds the primary of the drill's index
#   drain.sh [--dir DIR] --back NAME    started, allowed to have copies, and everything is green; safe to repeat
#   drain.sh [--dir DIR] --whole NAME   succeeds when it is back

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(check back whole)
parse_options "$@"
load_staging
node=${ARGS[0]:?drain.sh needs the name of a node: ${NODES[*]}}
is_node "$node"

exclude() {
  local said
  said=$(es any PUT /_cluster/settings "{\"persistent\": {\"cluster.routing.allocation.exclude._name\": $1}}") &&
    [[ $(jq -r .acknowledged <<<"$said") == true ]]
}
excluded() {
  es any GET '/_cluster/settings?flat_settings=true' |
    jq -r '.persistent["cluster.routing.allocation.exclude._name"] // ""'
}
# One that is on its way is listed as `e1 -> ADDRESS ID e3`.
is_empty() {
  local rows
  rows=$(es any GET '/_cat/shards?format=json&h=index,prirep,state,node') &&
    jq -e --arg node "$node" 'length > 0 and all(.[]; .node != null and (.node | split(" ")[0]) != $node)' <<<"$rows" >/dev/null
}
is_drained() {
  local index
  ! runs "$node" && is_empty && index=$(ledger_index) && [[ -n $index && $(primary_of "$index") != "$node" ]]
}
is_back() {
  local left
  left=$(excluded) && [[ -z $left ]] && runs "$node" && all_green
}

if [[ -n $CHECK ]]; then
  is_drained || die "$node is not taken out"
elif [[ -n $WHOLE ]]; then
  is_back || die "$node is not back"
elif [[ -n $BACK ]]; then
  "$HERE/start.sh" --dir "$DIR" "$node" >/dev/null
  exclude null || die "no node takes the setting back"
  within 60 "$node is back, with every copy somewhere" is_back
else
  all_green || die "copies are missing: no node may be taken out"
  exclude "\"$node\"" || die "no node takes the setting"
  within 60 "no copy is on $node" is_empty
  # What is empty may be so because there was nothing better: the others must have everything.
  all_green || die "copies are missing without $node: it goes on"
  read -r pid start <"$DIR/pids/$node"
  echo "$pid $start" | end_processes TERM
fi
echo "node=$node"
