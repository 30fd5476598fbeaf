#!/usr/bin/env bash
# Waits until all that m1 has logged so far is copied.
#
#   archive-now.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

# Into the next file: what is in the ones before does not change any more.
sql m1 "flush binary logs"
WATCH=archiver within 30 "the binary logs are copied" archived
echo "archived=$(ls "$DIR/archive" | wc -l)"
