#!/usr/bin/env bash
# Clients get the other volume: what its newest snapshot holds becomes the data that they work on.
#
#   failover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
locked
to=$(other "$(primary)")
snapshot=$(newest "$to")
[[ -n $snapshot ]] || die "there is no whole snapshot on volume $to"
unmount "$DIR/service"
revive "$to" "$snapshot"
echo "snapshot=$snapshot"
echo "primary=$to"
