#!/usr/bin/env bash
# Somebody types FLUSHALL into the wrong window: r1 forgets everything, and goes on taking writes.
#
#   flush.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
[[ $(ask r1 exists stock:1) == 0 ]] || ask r1 flushall >/dev/null
