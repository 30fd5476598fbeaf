# What the scripts of the btrfs pair share: its volumes, and where clients work. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=btrfs-pair
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# Mounts and subvolumes are root's business.
RUN_AS=root
# Files of the application besides the drill's ledger, made when the staging comes up.
STOCK=200
# Snapshots that each volume keeps.
KEEP=6
set_ports() { :; }

# As the system's own tables of mounts and devices name it: without links.
place_options() {
  parse_options "$@"
  DIR=$(readlink -m "$DIR")
  MARKER=$DIR/.blackstart-staging
}

other() { [[ $1 == a ]] && echo b || echo a; }
primary() { cat "$DIR/primary"; }
# Only one of the scripts changes something at a time.
locked() { exec 9>"$DIR/lock" && flock -w 30 9 || die "another script holds $DIR/lock"; }

mounted() { grep -q " $1 " /proc/self/mountinfo; }
# Every loop device that has this image beneath.
devices_of() {
  local file
  for file in /sys/block/loop*/loop/backing_file; do
    [[ $(cat "$file" 2>/dev/null) != "$1" ]] || { file=${file#/sys/block/}; echo "/dev/${file%%/*}"; }
  done
}

# `lose_device IMAGE`: the image is emptied, and its device gets no bytes any more, so that every access is an error. A write
# that comes between the two makes the image as long as it was, so that it takes several attempts where many write.
lose_device() {
  local device size
  device=$(devices_of "$1")
  [[ -n $device && $device != *$'\n'* ]] || die "not one device has $1 beneath: ${device:-none}"
  size=/sys/block/${device#/dev/}/size
  gone() { truncate -s 0 "$1" && losetup -c "$device" && [[ $(cat "$size") == 0 ]]; }
  within 10 "$device has no bytes any more" gone "$1"
}

# `make_volume a`: an image, a device, a btrfs on it (small enough to share data and metadata), mounted for administrators.
make_volume() {
  local device
  truncate -s "$SIZE" "$DIR/$1.img"
  mkfs.btrfs -q -M -f "$DIR/$1.img" >"$DIR/log/mkfs.log"
  device=$(losetup -f --show "$DIR/$1.img")
  mkdir -p "$DIR/$1"
  mount -t btrfs "$device" "$DIR/$1"
  mkdir "$DIR/$1/snapshots"
}

# What is mounted there goes; whoever has files open there keeps them until he closes them.
unmount() {
  local tries=0
  while mounted "$1"; do
    umount "$1" 2>/dev/null || umount -l "$1"
    ((++tries < 10)) || die "$1 does not unmount"
  done
}

drop_volume() {
  local device
  unmount "$DIR/$1"
  for device in $(devices_of "$DIR/$1.img"); do losetup -d "$device"; done
  rm -f "$DIR/$1.img"
}

# Clients work below $DIR/service, whichever volume is behind it.
serve_from() {
  mount --bind "$DIR/$1/live" "$DIR/service"
  echo "$1" >"$DIR/primary.new"
  mv "$DIR/primary.new" "$DIR/primary"
}

# The snapshots of a volume that are whole, oldest first: one that is being received is not read-only yet.
snapshots() {
  local name
  for name in $(ls -1 "$DIR/$1/snapshots" 2>/dev/null | sort -n); do
    [[ $(btrfs property get -ts "$DIR/$1/snapshots/$name" ro 2>/dev/null) != ro=true ]] || echo "$name"
  done
}
newest() { snapshots "$1" | tail -n 1; }

# Are the application's files there, and is the last of them what it was?
has_stock() { [[ $(ls "$1/data" 2>/dev/null | wc -l) == "$STOCK" && $(cat "$1/data/item-$STOCK" 2>/dev/null) == "item $STOCK" ]]; }

# Takes a snapshot of the primary and sends what is new in it to the other volume. Prints its name, which is the time in
# milliseconds at which it was begun.
replicate() {
  local from to name parent=
  from=$(primary)
  to=$(other "$from")
  name=$(date +%s%3N)
  btrfs -q subvolume snapshot -r "$DIR/$from/live" "$DIR/$from/snapshots/$name" || return 1
  parent=$(comm -12 <(snapshots "$from" | sort) <(snapshots "$to" | sort) | sort -n | tail -n 1)
  # Through a file: of a pipe's two ends one may fail without the other.
  if ! { btrfs -q send ${parent:+-p "$DIR/$from/snapshots/$parent"} -f "$DIR/stream" "$DIR/$from/snapshots/$name" &&
    btrfs -q receive -f "$DIR/stream" "$DIR/$to/snapshots"; }; then
    [[ ! -d $DIR/$to/snapshots/$name ]] || btrfs -q subvolume delete "$DIR/$to/snapshots/$name" || true
    rm -f "$DIR/stream"
    return 1
  fi
  rm -f "$DIR/stream"
  forget "$from"
  forget "$to"
  echo "$name"
}

# The oldest ones go. Where they are no longer needed for what is sent next they are only of use to restores.
forget() {
  local name
  for name in $(snapshots "$1" | head -n -"$KEEP"); do btrfs -q subvolume delete "$DIR/$1/snapshots/$name"; done
}

# What is left of an earlier time as a primary goes, so that there is one volume that can be written to.
drop_live() { [[ ! -d $DIR/$1/live ]] || btrfs -q subvolume delete "$DIR/$1/live"; }

# Makes what a snapshot holds the service's data on that volume.
revive() {
  drop_live "$1"
  btrfs -q subvolume snapshot "$DIR/$1/snapshots/$2" "$DIR/$1/live"
  serve_from "$1"
}
