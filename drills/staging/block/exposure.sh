#!/usr/bin/env bash
# How many seconds of writes would be gone if the device were lost now: since the newest copy was begun. None: it fails.
#
#   exposure.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
newest=$(copies | tail -n 1)
[[ -n $newest ]] || die "there is no copy of the device"
awk -v now="$(date +%s%3N)" -v begun="${newest%.img}" 'BEGIN { printf "%.3f\n", (now - begun) / 1000 }'
