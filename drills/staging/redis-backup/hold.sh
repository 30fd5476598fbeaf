#!/usr/bin/env bash
# Holds writes to r1 back, so that nothing more is written to a data set that will be replaced.
#
#   hold.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
ask r1 client pause 120000 write
