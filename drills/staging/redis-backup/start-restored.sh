#!/usr/bin/env bash
# Starts r2 on what was fetched, and waits until it has read it.
#
#   start-restored.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
runs r2 || launch_node r2
WATCH=r2 within 60 "r2 has read its data set" answers r2
echo "keys=$(ask r2 dbsize)"
