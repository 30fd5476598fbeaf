#!/usr/bin/env bash
# The volume that was lost gets a new disk, and with the next round of the replicator all that the other one has.
#
#   rebuild.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
locked
[[ -f $DIR/lost ]] || exit 0
lost=$(cat "$DIR/lost")
[[ $(primary) != "$lost" ]] || die "clients still work on volume $lost: fail over first"
drop_volume "$lost"
make_volume "$lost"
rm -f "$DIR/lost"
echo "volume $lost has a new disk"
