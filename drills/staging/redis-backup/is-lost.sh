#!/usr/bin/env bash
# Succeeds when r1 does not run or has lost the application's keys.
#
#   is-lost.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
runs r1 || { echo "r1 does not run"; exit 0; }
answers r1 || die "r1 runs and does not answer"
[[ $(ask r1 exists stock:1) == 0 ]] || die "r1 has the application's keys"
echo "r1 has lost the application's keys"
