#!/usr/bin/env bash
# Waits until both regions have everything, and says where clients are sent.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
whole() { "$HERE/is-whole.sh" --dir "$DIR" >/dev/null 2>&1; }
within 60 "both regions have everything" whole
echo "name=$(active)"
