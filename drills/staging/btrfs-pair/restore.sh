#!/usr/bin/env bash
# The newest snapshot in which the application's files are whole becomes what clients work on. The newest of all would not
# do: those that were taken after the mistake hold the mistake. What is there now is kept aside.
#
#   restore.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
locked
from=$(primary)
for name in $(snapshots "$from" | sort -rn); do
  has_stock "$DIR/$from/snapshots/$name" || continue
  [[ ! -d $DIR/$from/aside ]] || btrfs -q subvolume delete "$DIR/$from/aside"
  unmount "$DIR/service"
  mv "$DIR/$from/live" "$DIR/$from/aside"
  revive "$from" "$name"
  echo "snapshot=$name"
  exit 0
done
die "there is no snapshot in which the application's files are whole"
