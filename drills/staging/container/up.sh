#!/usr/bin/env bash
# Brings up a Docker engine of its own, with two web containers on a network of their own, and a relay that leads
# clients to the first. The engine has its own folder, socket, network namespace and mount namespace: no other engine,
# no interface and no packet filter of this machine is touched. The image is made from busybox; no registry is asked.
# Needs root.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-container)
# --base-port PORT  the relay's port (default 15800, or $BLACKSTART_BASE_PORT)
#
# Prints its fields as key=value lines once the page is served. If anything fails, it ends what it started and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15800}}
((EUID == 0)) || die "an engine of its own needs root"
need_tools dockerd docker containerd runc busybox unshare curl ss tar setpriv /usr/bin/python3
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
need_free_ports "$BASE"
make_staging
printf 'BASE=%q\n' "$BASE" >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

echo '{}' >"$DIR/engine.json"
launch engine unshare --net --mount -- dockerd --config-file "$DIR/engine.json" --data-root "$DIR/data" \
  --exec-root "$DIR/exec" --pidfile "$DIR/engine.pid" -H "unix://$(SOCKET)" --iptables=false --ip6tables=false \
  --bridge=none --ip-forward=false --ip-masq=false --userland-proxy=false --shutdown-timeout 2
ready() { engine version >/dev/null 2>&1; }
WATCH=engine within 30 "the engine answers" ready

mkdir -p "$DIR/image/bin" "$DIR/image/www"
cp "$(command -v busybox)" "$DIR/image/bin/busybox"
for name in sh httpd sleep; do ln -sf busybox "$DIR/image/bin/$name"; done
echo 'served by a container' >"$DIR/image/www/index.html"
tar -C "$DIR/image" -c . | engine import - blackstart/web:tiny >/dev/null
engine network create --driver bridge --internal --subnet 10.77.0.0/24 front >/dev/null 2>&1

start_web() {
  engine run -d --init=false --name "$1" --network front --ip "$2" --network-alias "$1.front" --label blackstart=allowed \
    --label role=web --stop-signal KILL blackstart/web:tiny /bin/httpd -f -p 80 -h /www >/dev/null 2>&1
}
start_web web1 10.77.0.11
start_web web2 10.77.0.12

cp "$(dirname "$0")/relay.py" "$DIR/relay.py"
launch relay /usr/bin/python3 -B "$DIR/relay.py" "$BASE" "$(pid_of engine)" 10.77.0.11 80
served() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$BASE/" 2>/dev/null; }
WATCH=relay within 20 "the page is served" served

up=yes
cat <<FIELDS
dir=$DIR
port=$BASE
engine=unix://$(SOCKET)
FIELDS
