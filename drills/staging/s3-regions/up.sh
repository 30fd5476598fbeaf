#!/usr/bin/env bash
# Brings up two regions of an object store on loopback, each an S3 server (moto) of its own with a bucket that keeps
# versions, a sync that copies from the first to the second every two seconds, and HAProxy in front, which leads clients
# to one of them as a name in DNS would.
#
#   up.sh [--dir DIR] [--base-port PORT] [--single]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-s3-regions)
# --base-port PORT  all ports follow from this one (default 17370, or $BLACKSTART_BASE_PORT)
# --single          one region, without a second one and a sync
#
# moto keeps everything in memory. Prints its fields as key=value lines once all is in order. Run again: nothing happens
# if it is up as asked. If anything fails, it says what, ends what it started, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(single)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-17370}}
set_ports
need_tools haproxy curl ss setpriv "$PYTHON"

print_fields() {
  cat <<FIELDS
dir=$DIR
endpoint=http://127.0.0.1:$FRONT
a=http://127.0.0.1:$(port_of a)
b=http://127.0.0.1:$(port_of b)
secret_file=$DIR/drill.secret
FIELDS
}
settings() { printf 'BASE=%q\nSINGLE=%q\n' "$BASE" "$SINGLE"; }
[[ -z $SINGLE ]] || NODES=(a)
all_up() {
  local name
  for name in "${NODES[@]}" front; do runs "$name" || return 1; done
  answers a && [[ $(cat "$DIR/active") == a ]] && s3 a whole >/dev/null || return 1
  [[ -n $SINGLE ]] || { runs sync && answers b && [[ $(cat "$DIR/direction") == "a b" ]]; }
}

if [[ -f $MARKER && $(cat "$DIR/settings" 2>/dev/null) == "$(settings)" ]] && all_up; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"

need_free_ports "$FRONT" "$ADMIN" "$(port_of a)" "$(port_of b)"
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

make_password "$DIR/drill.secret"
(umask 077 && printf '{"drill": {"secret": "%s"}}\n' "$(cat "$DIR/drill.secret")" >"$DIR/keys.json")
((EUID != 0)) || chown "$RUN_AS" "$DIR/keys.json"
cat >"$DIR/haproxy.cfg" <<CFG
global
  maxconn 1000
  stats socket ipv4@127.0.0.1:$ADMIN level admin
defaults
  mode tcp
  retries 0
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  timeout queue 1s

frontend clients
  bind 127.0.0.1:$FRONT
  default_backend regions

backend regions
  server a 127.0.0.1:$(port_of a)
  server b 127.0.0.1:$(port_of b) disabled
CFG
for node in "${NODES[@]}"; do launch_region "$node"; done
launch front haproxy -db -f "$DIR/haproxy.cfg"
for node in "${NODES[@]}"; do WATCH=$node within 60 "region $node answers" answers "$node"; done
[[ -n $SINGLE ]] || s3 b make &
s3 a make stock
wait $! || die "region b has no buckets"
lead_to a
if [[ -z $SINGLE ]]; then
  launch_sync a b
  has_it() { s3 b whole >/dev/null 2>&1; }
  within 60 "region b has what region a has" has_it
fi
up=yes
print_fields
