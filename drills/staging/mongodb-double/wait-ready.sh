#!/usr/bin/env bash
# Waits until one member is primary, the other two are secondaries, and all have the same.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
within 60 "one primary and two secondaries that are not behind" in_order
echo "name=$(primary)"
