# What the scripts of the disk staging share. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=disk
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# The service is no root: what is kept back for root is not for it.
RUN_AS=daemon
set_ports() { :; }

# Takes the disk away, and what is mounted on it, and a loop device with it. What still uses it keeps it until it ends.
take_disk() {
  local point tries=0
  for point in "$DIR/disk/data" "$DIR/disk"; do
    while grep -q " $point " /proc/self/mountinfo; do
      umount "$point" 2>/dev/null || umount -l "$point"
      ((++tries < 10)) || die "$point does not unmount"
    done
  done
}
