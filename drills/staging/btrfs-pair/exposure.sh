#!/usr/bin/env bash
# How many seconds of writes would be gone if the primary were lost now: since the newest snapshot that is whole on the
# other volume was begun. Nothing there: it fails.
#
#   exposure.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
name=$(newest "$(other "$(primary)")")
[[ -n $name ]] || die "there is no whole snapshot on the other volume"
awk -v now="$(date +%s%3N)" -v begun="$name" 'BEGIN { printf "%.3f\n", (now - begun) / 1000 }'
