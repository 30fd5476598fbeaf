#!/usr/bin/env bash
# Brings up a small network: a store in a network namespace of its own, and a router in front, in another one. Whoever
# starts this reaches the store through the router, as clients reach a service in another rack.
#
#   here (NET.1) ── (NET.2) NAME-edge (NET.5) ── (NET.6) NAME-store, http://NET.6:8080/
#
#   up.sh [--dir DIR] [NAME [NET]]
#
# --dir DIR  the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-netns)
# NAME       the namespaces are called NAME-edge and NAME-store, the interface here NAMEh (default: bsnet)
# NET        three numbers of a network that nobody uses (default: 10.83.0)
#
# Needs root. Nothing that was there before is changed: one interface and one route are added here, and down.sh takes
# them away. Prints its fields as key=value lines once the store answers.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
NAME=${ARGS[0]:-bsnet} NET=${ARGS[1]:-10.83.0}
set_names
((EUID == 0)) || die "making network namespaces needs root"
need_tools ip nsenter setpriv curl /usr/bin/python3

print_fields() { printf '%s\n' "dir=$DIR" "edge=$EDGE" "store=$STORE" "address=$NET.6" "url=http://$NET.6:8080"; }
if [[ -f $MARKER ]] && runs store && answers; then
  print_fields
  exit 0
fi
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
for name in "$EDGE" "$STORE"; do ! exists "$name" || die "there is a network namespace $name already"; done
[[ ! -e /sys/class/net/${NAME}h ]] || die "there is an interface ${NAME}h already"

make_staging
printf 'NAME=%q\nNET=%q\n' "$NAME" "$NET" >"$DIR/settings"
up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its log:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

ip netns add "$EDGE"
ip netns add "$STORE"
ip link add "${NAME}h" type veth peer name front netns "$EDGE"
ip -n "$EDGE" link add back type veth peer name front netns "$STORE"
ip addr add "$NET.1/30" dev "${NAME}h"
ip -n "$EDGE" addr add "$NET.2/30" dev front
ip -n "$EDGE" addr add "$NET.5/30" dev back
ip -n "$STORE" addr add "$NET.6/30" dev front
ip link set "${NAME}h" up
for at in "$EDGE lo" "$EDGE front" "$EDGE back" "$STORE lo" "$STORE front"; do ip -n "${at% *}" link set "${at#* }" up; done
ip netns exec "$EDGE" sysctl -qw net.ipv4.ip_forward=1
ip route add "$NET.4/30" via "$NET.2"
ip -n "$STORE" route add default via "$NET.5"

# Entered as root, then the servers' user; the process stays the same one.
install -m 644 "$(dirname "$0")/store.py" "$DIR/store.py"
(cd / && exec setsid nsenter --net="/run/netns/$STORE" setpriv --reuid="$RUN_AS" --regid="$RUN_AS" --init-groups -- \
  /usr/bin/python3 "$DIR/store.py" "$NET.6" 8080) </dev/null >>"$DIR/log/store.log" 2>&1 &
pid=$!
echo "$pid $(started_at "$pid")" >"$DIR/pids/store"
WATCH=store within 20 "the store answers on http://$NET.6:8080/" answers
up=yes
print_fields
