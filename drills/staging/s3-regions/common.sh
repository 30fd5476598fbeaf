# What the scripts of the staging of two regions share: names, ports, and what is asked of a region. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=s3-regions
NODES=(a b)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# Made by the package haproxy, which this staging needs anyway.
RUN_AS=haproxy
HERE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
# Where moto and boto3 are: a folder that tests/install.sh makes, or another one.
PYTHON=${BLACKSTART_MOTO:-/var/cache/blackstart-tests/moto}/bin/python
export PYTHONDONTWRITEBYTECODE=1

# Clients come to the front BASE+1, which is told where to lead them at BASE+2; the regions are BASE+11 and BASE+12.
set_ports() { FRONT=$((BASE + 1)) ADMIN=$((BASE + 2)); }
port_of() { case $1 in a) echo $((BASE + 11)) ;; b) echo $((BASE + 12)) ;; esac }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no region \"$1\" here (there are ${NODES[*]})"; }
other_of() { case $1 in a) echo b ;; b) echo a ;; esac }

# `s3 REGION WORD…`: see s3.py.
s3() {
  local port
  port=$(port_of "$1")
  shift
  as_owner "$PYTHON" "$HERE/s3.py" --keys "$DIR/keys.json" "$port" "$@"
}

answers() { curl -s --max-time 2 -o "/dev/null" "http://127.0.0.1:$(port_of "$1")/"; }

launch_region() { launch "$1" "$PYTHON" "$HERE/server.py" "$(port_of "$1")" "$DIR/keys.json"; }
launch_sync() {
  launch sync "$PYTHON" "$HERE/sync.py" "$DIR/keys.json" "$(port_of "$1")" "$(port_of "$2")" "${SYNC:-2}"
  echo "$1 $2" >"$DIR/direction"
}

# `front WORDS…`: one order to what leads clients to a region; fails when it says anything, for that is a complaint.
front() {
  local said
  exec 3<>"/dev/tcp/127.0.0.1/$ADMIN" || die "the front does not answer"
  echo "$*" >&3
  said=$(cat <&3)
  exec 3>&-
  [[ -z ${said//[[:space:]]/} ]] || die "the front: $said"
}
lead_to() {
  front "set server regions/$1 state ready"
  front "set server regions/$(other_of "$1") state maint"
  echo "$1" >"$DIR/active"
}
