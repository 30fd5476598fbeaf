#!/usr/bin/env bash
# A server and its disk are gone: r1 is killed, and its data removed. Nothing there: nothing happens.
#
#   lose.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
cat "$DIR/pids/r1" | end_processes KILL
rm -rf "$DIR/r1/data"
