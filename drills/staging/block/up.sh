#!/usr/bin/env bash
# Brings up a block device (an image on a loop device) with ext4 on it, where clients work. A loop takes a copy of the whole
# device every few seconds, while its file system is frozen, as a provider's snapshot job would every few hours.
#
#   up.sh [--dir DIR] [--every SECONDS]
#
# --dir DIR        the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-block)
# --every SECONDS  between two copies (default 3)
#
# Needs root, for mounts. Prints its fields as key=value lines once all is in order. What an earlier one of the same folder
# left (mount, loop device) is taken away first. If anything fails, it says what, takes all away, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
place_options "$@"
((EUID == 0)) || die "a device of its own needs root"
need_tools mkfs.ext4 e2fsck losetup mount umount fsfreeze flock setpriv
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
make_staging
printf 'EVERY=%q\n' "${ARGS[0]:-3}" >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

mkdir "$DIR/service" "$DIR/copies"
truncate -s 64M "$DIR/volume.img"
mkfs.ext4 -q "$DIR/volume.img"
attach
mkdir "$DIR/service/data"
for ((n = 1; n <= STOCK; n++)); do echo "item $n" >"$DIR/service/data/item-$n"; done
copy >"$DIR/log/first.log"
launch copies "$(readlink -f "$(dirname "$0")")/copies.sh" --dir "$DIR"
up=yes
cat <<FIELDS
dir=$DIR
service=$DIR/service
data=$DIR/service/data
FIELDS
