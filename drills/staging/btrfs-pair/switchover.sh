#!/usr/bin/env bash
# Planned: clients get the other volume, with everything that they were told is written. First nobody can write any more,
# then the last of it is sent, then the other volume takes over. Where files are kept open for writing it waits, and after
# ten seconds gives up without having changed anything.
#
#   switchover.sh [--dir DIR] [VOLUME]     to the other volume, or to this one; nothing happens if it is that already

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
locked
from=$(primary)
to=$(other "$from")
[[ ${ARGS[0]:-$to} == "$to" ]] || { echo "primary=$from"; exit 0; }
# Refused by the kernel as long as a file is open for writing there.
closed() { mount -o remount,bind,ro "$DIR/service" 2>/dev/null; }
within 10 "no file is open for writing in $DIR/service" closed
open_again() { mount -o remount,bind,rw "$DIR/service"; }
trap open_again EXIT
snapshot=$(replicate)
[[ $(newest "$to") == "$snapshot" ]] || die "volume $to does not have the last snapshot"
trap - EXIT
unmount "$DIR/service"
revive "$to" "$snapshot"
drop_live "$from"
echo "snapshot=$snapshot"
echo "primary=$to"
