#!/usr/bin/env bash
# Brings up two btrfs volumes (images on loop devices). Clients work in a folder that the first one is behind; a loop takes
# a read-only snapshot of it every few seconds and sends what is new to the second one, as a job would every few minutes.
#
#   up.sh [--dir DIR] [--every SECONDS]
#
# --dir DIR        the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-btrfs-pair)
# --every SECONDS  between two snapshots (default 2)
#
# Needs root, for mounts. Prints its fields as key=value lines once all is in order. What an earlier one of the same folder
# left (mounts, loop devices) is taken away first. If anything fails, it says what, takes all away, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
place_options "$@"
EVERY=${ARGS[0]:-2}
# Of each volume.
SIZE=256M
((EUID == 0)) || die "volumes of its own need root"
need_tools mkfs.btrfs btrfs losetup mount umount flock setpriv
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
make_staging
printf 'EVERY=%q\nSIZE=%q\n' "$EVERY" "$SIZE" >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

make_volume a
make_volume b
mkdir "$DIR/service"
btrfs -q subvolume create "$DIR/a/live"
mkdir "$DIR/a/live/data"
for ((n = 1; n <= STOCK; n++)); do echo "item $n" >"$DIR/a/live/data/item-$n"; done
serve_from a
replicate >"$DIR/log/first.log"
launch replicator "$(readlink -f "$(dirname "$0")")/replicator.sh" --dir "$DIR"
up=yes
cat <<FIELDS
dir=$DIR
service=$DIR/service
data=$DIR/service/data
snapshots_a=$DIR/a/snapshots
snapshots_b=$DIR/b/snapshots
FIELDS
