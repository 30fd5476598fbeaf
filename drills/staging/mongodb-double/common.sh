# What the scripts of the MongoDB staging share: names, ports, and questions to members. Sourced, never run.
#
# The servers are doubles (tests/mongodb/double), for no registry has a MongoDB that could be installed; everything
# else here speaks to them by pymongo, and would to a MongoDB.
# shellcheck shell=bash disable=SC2034
STAGING=mongodb-double
# m1 to m3 are the set that clients use, m4, with up.sh --dumps, is empty: dumps are restored there
# by themselves.
NODES=(m1 m2 m3)
# What the set is called.
NAME=rs0
# Documents of the application besides the drill's ledger, made when the staging comes up.
STOCK=2000
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# Any user but root that every Debian has, with a group of its name.
RUN_AS=daemon
HERE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
# Where tests/install.sh puts pymongo; another Python that has it will do.
PYTHON=${BLACKSTART_PYMONGO:-/var/cache/blackstart-tests/pymongo/bin/python3}

# All ports follow from one: BASE+1 to BASE+4.
set_ports() { :; }
port_of() { echo $((BASE + ${1#m})); }
at() { echo "127.0.0.1:$(port_of "$1")"; }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no member \"$1\" here (there are ${NODES[*]})"; }
hosts() { echo "$(at m1),$(at m2),$(at m3)"; }

# `ask set|NODE WORD…`: says it to the set, or to a member by itself, as its root; fails when it fails.
ask() {
  local name=$NAME hosts
  if [[ $1 == set ]]; then hosts=$(hosts); else name=- hosts=$(at "$1"); fi
  shift
  timeout 30 "$PYTHON" -B "$HERE/mongo.py" "$name" "$hosts" root "$DIR/root.password" "$@"
}
quiet() { "$@" >/dev/null 2>&1; }

# The primary; fails when there is none.
primary() {
  local found
  found=$(ask set primary 2>/dev/null) || return 1
  echo "m$((${found##*:} - BASE))"
}
in_order() { quiet ask set whole; }
has_stock() { quiet ask "$1" has-stock "$STOCK"; }

# `launch_member NODE`: of the set, or m4, a set of its own. The double's files lie in the staging's folder, for its user
# need not reach ours. Elections after 2.5 s, shortened so that a drill is short (a MongoDB: 10 s).
launch_member() {
  local members name=$NAME
  if [[ $1 == m4 ]]; then members=$(at m4) name=restored; else members=$(hosts); fi
  launch "$1" "$PYTHON" -B "$DIR/double/mongod_double.py" --port "$(port_of "$1")" --dbpath "$DIR/$1/data" \
    --replSet "$name" --members "$members" --keyFile "$DIR/key" --election-timeout 2500
}

# A member's folder, empty.
make_disk() {
  mkdir -p "$DIR/$1/data"
  chmod 700 "$DIR/$1"
  ((EUID != 0)) || chown -R "$RUN_AS" "$DIR/$1"
}

# `make_users set|NODE`: the first user can be made by whoever is first; the others by the first.
make_users() {
  local name=$NAME hosts
  if [[ $1 == set ]]; then hosts=$(hosts); else name=- hosts=$(at "$1"); fi
  timeout 30 "$PYTHON" -B "$HERE/mongo.py" "$name" "$hosts" - - user root "$DIR/root.password" root@admin &&
    ask "$1" user app "$DIR/app.password" readWrite@shop clusterMonitor@admin
}

# Dumps that are sound, the newest first.
sound() { ask set sound "$DIR/dumps"; }

# The newest of them; fails when there is none.
newest() {
  local all
  all=$(sound) && [[ -n $all ]] && echo "${all%%$'\n'*}"
}
