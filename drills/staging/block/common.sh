# What the scripts of the block device share. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=block
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# Mounts and devices are root's business.
RUN_AS=root
# Files of the application besides the drill's ledger, made when the staging comes up.
STOCK=200
# Copies that are kept.
KEEP=5
set_ports() { :; }

# As the system's own tables of mounts and devices name it: without links.
place_options() {
  parse_options "$@"
  DIR=$(readlink -m "$DIR")
  MARKER=$DIR/.blackstart-staging
}

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

# The device gets its image, its file system is put in order as after a power cut, and it is mounted where clients work.
attach() {
  local device
  device=$(losetup -f --show "$DIR/volume.img")
  e2fsck -p "$device" >"$DIR/log/fsck.log" 2>&1 || (($? <= 1)) || die "the file system is damaged: $(tail -n 1 "$DIR/log/fsck.log")"
  mount -t ext4 -o errors=remount-ro "$device" "$DIR/service"
}

# The device goes. Who has files open there keeps them until he closes them.
detach() {
  local tries=0 device
  fsfreeze -u "$DIR/service" 2>/dev/null || true
  while mounted "$DIR/service"; do
    umount "$DIR/service" 2>/dev/null || umount -l "$DIR/service"
    ((++tries < 10)) || die "$DIR/service does not unmount"
  done
  for device in $(devices_of "$DIR/volume.img"); do losetup -d "$device"; done
}

# The copies that are whole, oldest first.
copies() { ls -1 "$DIR/copies" | grep -E '^[0-9]+\.img$' | sort -n || true; }

has_stock() { [[ $(ls "$DIR/service/data" 2>/dev/null | wc -l) == "$STOCK" && $(cat "$DIR/service/data/item-$STOCK" 2>/dev/null) == "item $STOCK" ]]; }

# A copy of the device of one moment: the file system writes out what it has, and then nobody can write until it is done.
# Its name is the time in milliseconds at which it was begun; it gets it when it is whole.
copy() {
  local name
  name=$(date +%s%3N)
  fsfreeze -f "$DIR/service" || return 1
  if ! cp --sparse=always "$DIR/volume.img" "$DIR/copies/unfinished"; then
    fsfreeze -u "$DIR/service"
    return 1
  fi
  fsfreeze -u "$DIR/service"
  mv "$DIR/copies/unfinished" "$DIR/copies/$name.img"
  for old in $(copies | head -n -"$KEEP"); do rm -f "$DIR/copies/$old"; done
  echo "$name"
}
