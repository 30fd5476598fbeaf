#!/usr/bin/env bash
# Brings up three nodes on loopback that answer as Elasticsearch would: doubles, for there is no Elasticsearch in Debian; an
# index of an application, and a job that takes a snapshot every few seconds, as one would every few hours.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-elasticsearch)
# --base-port PORT  all ports follow from this one (default 17670, or $BLACKSTART_BASE_PORT)
#
# A node that does not answer three looks in a row, a tenth of a second apart, has left; a missing copy is made anew after
# two seconds (a minute in Elasticsearch). Prints its fields as key=value lines once all is in order. Run again: nothing
# happens if it is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-17670}}
need_tools python3 curl jq ss setpriv

print_fields() {
  cat <<FIELDS
dir=$DIR
nodes=127.0.0.1:$(port_of e1),127.0.0.1:$(port_of e2),127.0.0.1:$(port_of e3)
password_file=$DIR/drill.password
FIELDS
}
settings() { printf 'BASE=%q\n' "$BASE"; }
has_stock() { [[ $(docs_of shop) == "$STOCK" ]]; }
all_up() {
  local name
  for name in "${NODES[@]}" snapshots; do runs "$name" || return 1; done
  all_green && has_stock
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$(port_of e1)" "$(port_of e2)" "$(port_of e3)"
make_staging
settings >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

make_password "$DIR/drill.password"
(
  umask 077
  jq -n --arg password "$(cat "$DIR/drill.password")" --arg folder "$DIR/repositories" --argjson base "$BASE" \
    '{nodes: {e1: ($base + 1), e2: ($base + 2), e3: ($base + 3)}, repositories: $folder, users: {drill: {password: $password}}}' \
    >"$DIR/settings.json"
)
((EUID != 0)) || chown "$RUN_AS" "$DIR/settings.json"
for node in "${NODES[@]}"; do launch_node "$node"; done
for node in "${NODES[@]}"; do WATCH=$node within 60 "node $node sees all three" all_there "$node"; done
es e1 PUT /shop '{"settings": {"number_of_replicas": 1}, "mappings": {"properties": {"item": {"type": "keyword"}}}}' >/dev/null
for ((n = 1; n <= STOCK; n++)); do
  printf '{"create": {"_index": "shop", "_id": "%s"}}\n{"item": "item-%s", "stock": {"left": %s}}\n' "$n" "$n" "$((n * 7 % 100))"
done >"$DIR/stock.jsonl"
es e1 POST '/_bulk?refresh=true' "@$DIR/stock.jsonl" | jq -e '.errors == false' >/dev/null || die "the stock cannot be written"
es e1 PUT /_snapshot/backup '{"type": "fs", "settings": {"location": "backup"}}' >/dev/null
launch snapshots "$HERE/snapshots.sh" --dir "$DIR" --every 4
within 30 "every copy is there" all_green
within 30 "there is a snapshot" newest >/dev/null
up=yes
print_fields
