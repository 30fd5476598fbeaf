#!/usr/bin/env bash
# Waits until all members serve and one of them leads.
#
#   wait-ready.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
ready() { all_serve && leader >/dev/null; }
within 60 "all members serve, and one leads" ready
echo "name=$(leader)"
