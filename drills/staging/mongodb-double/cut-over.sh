#!/usr/bin/env bash
# Brings what was restored and looked at to where clients are: the set starts empty, gets its users, and reads the same
# dump as m4 did. Clients wait until then. Safe to repeat.
#
#   cut-over.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
name=$(cat "$DIR/restored" 2>/dev/null) || die "nothing was restored (restore.sh)"
if ! in_order; then
  for node in "${NODES[@]}"; do
    runs "$node" || { make_disk "$node" && launch_member "$node"; }
  done
  # Only root yet: what clients write before the dump is read would stand in its way.
  first() {
    timeout 30 "$PYTHON" -B "$HERE/mongo.py" "$NAME" "$(hosts)" - - user root "$DIR/root.password" root@admin
  }
  WATCH=m1 within 30 "the new set has a primary" first 2>>"$DIR/log/users.log"
fi
if ! has_stock set; then
  ask set restore "$DIR/dumps/$name"
fi
quiet ask set user app "$DIR/app.password" readWrite@shop clusterMonitor@admin || true
within 30 "all three members are in order" in_order
echo "dump=$name"
