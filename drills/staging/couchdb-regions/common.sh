# What the scripts of this staging share: names, ports, and questions to servers. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=couchdb-regions
REGIONS=(a b)
DATABASE=shop
# Documents of the application besides the drill's ledger, made when the staging comes up.
STOCK=200
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
RUN_AS=daemon
HERE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
# Where tests/install.sh puts it; from npm, for Debian has no CouchDB.
SERVER=${BLACKSTART_POUCHDB:-/var/cache/blackstart-tests/pouchdb}/node_modules/.bin/pouchdb-server

# All ports follow from one: servers BASE+1 and BASE+2, the clients' entry BASE+5, its admin port BASE+6, and the links
# between the regions BASE+11 (from a to b) and BASE+12 (from b to a).
set_ports() { ENTRY_PORT=$((BASE + 5)) ADMIN_PORT=$((BASE + 6)); }
number_of() { [[ $1 == a ]] && echo 1 || echo 2; }
port_of() { echo $((BASE + $(number_of "$1"))); }
link_port() { echo $((BASE + 10 + $(number_of "$1"))); }
other() { [[ $1 == a ]] && echo b || echo a; }
is_region() { [[ " ${REGIONS[*]} " == *" $1 "* ]] || die "no region \"$1\" here (there are ${REGIONS[*]})"; }

# `ask PORT METHOD PATH`: the answer to the administrator, with standard input as the body unless it is a GET. Fails with
# the status of a refusal. The password is in no process list.
ask() {
  local more=()
  [[ $2 == GET ]] || more=(-H 'content-type: application/json' --data-binary @-)
  curl -sS --fail --max-time 10 --noproxy '*' --netrc-file "$DIR/netrc" -X "$2" "${more[@]}" \
    "http://127.0.0.1:$1/$3" 2>>"$DIR/log/curl.log"
}
in_region() { local port; port=$(port_of "$1"); shift; ask "$port" "$@"; }

serves() { in_region "$1" GET "$DATABASE" | jq -e .db_name >/dev/null 2>&1; }

# All of the application's documents are there, and the last of them is what it was.
has_stock() {
  [[ $(in_region "$1" GET "$DATABASE/_all_docs?startkey=%22item:%22&endkey=%22item:~%22" | jq '.rows | length') == "$STOCK" ]] &&
    [[ $(in_region "$1" GET "$DATABASE/item:$STOCK" | jq .count) == "$STOCK" ]]
}

# The server was written for a Node that does not end a program for a promise that nobody waited for.
launch_server() {
  launch "$1" node --unhandled-rejections=warn "$SERVER" --config "$DIR/$1/config.json" --dir "$DIR/$1/data" --no-stdout-logs
}
launch_link() {
  local to
  to=$(other "$1")
  launch "link-$1-$to" /usr/bin/python3 "$HERE/link.py" "$(link_port "$1")" "$(port_of "$to")" "${@:2}"
}

# The database of a region that has none, its user, and who may use it. Safe to repeat.
furnish() {
  echo '{}' | in_region "$1" PUT "$DATABASE" >/dev/null || serves "$1"
  in_region "$1" GET _users/org.couchdb.user:app >/dev/null ||
    jq -nc --rawfile password "$DIR/app.password" \
      '{name: "app", password: ($password | rtrimstr("\n")), roles: [], type: "user"}' |
    in_region "$1" PUT _users/org.couchdb.user:app >/dev/null
  echo '{"admins": {"names": [], "roles": []}, "members": {"names": ["app"], "roles": []}}' |
    in_region "$1" PUT "$DATABASE/_security" >/dev/null
}

# A region sends what it has to the other one, for as long as it lives, over the link between them. Replications that are
# there already are ended, for one that has failed for a while waits longer and longer. The new one has a name and a field
# of its own, or this server would take it for the one that it has just ended.
replicate() {
  local to now
  to=$(other "$1") now=$(date +%s%N)
  in_region "$1" GET "_replicator/_all_docs?startkey=%22to-%22&endkey=%22to-~%22" |
    jq -c '{docs: [.rows[] | {_id: .id, _rev: .value.rev, _deleted: true}]}' |
    in_region "$1" POST _replicator/_bulk_docs >/dev/null
  jq -nc --rawfile word "$DIR/admin.password" --arg id "to-$to-$now" --arg begun "$now" \
    --arg there "127.0.0.1:$(link_port "$1")/$DATABASE" --arg database "$DATABASE" \
    '"http://admin:\($word | rtrimstr("\n"))@" as $login |
    {_id: $id, source: $database, target: ($login + $there), continuous: true, begun: $begun}' |
    in_region "$1" POST _replicator >/dev/null
}

# The newest documents of one region are in the other. Prints nothing.
arrives() {
  local newest
  newest=$(in_region "$1" GET "$DATABASE/_changes?descending=true&limit=200&style=all_docs") || return 1
  jq -c '[.results[] | {key: .id, value: [.changes[].rev]}] | from_entries' <<<"$newest" |
    in_region "$2" POST "$DATABASE/_revs_diff" | jq -e '. == {}' >/dev/null
}

# Tells HAProxy over its admin port; whatever it answers is an error.
haproxy_says() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$ADMIN_PORT"
  echo "$1" >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ -z ${answer//[$'\n ']/} ]] || die "haproxy refused \"$1\": $answer"
}

# The region that clients are sent to; nothing when they are sent nowhere.
active() {
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$ADMIN_PORT"
  echo "show servers state regions" >&3
  # Field 4 is the name, field 6 the state: 2 is up.
  while read -r line; do
    read -ra line <<<"$line"
    [[ ${line[3]:-} == [ab] && ${line[5]} == 2 ]] && echo "${line[3]}"
  done <&3
  exec 3>&-
}

# The dumps that are whole, the newest first.
whole_dumps() { as_owner /usr/bin/python3 "$HERE/dump.py" whole "$DIR/dumps"; }

# The newest of them; fails when there is none.
newest() {
  local file
  read -r file < <(whole_dumps) && echo "$file"
}
