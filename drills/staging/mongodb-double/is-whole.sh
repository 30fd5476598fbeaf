#!/usr/bin/env bash
# Succeeds when the set has the application's documents; with NODE, when that member has them by itself.
#
#   is-whole.sh [--dir DIR] [NODE]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
ask "${ARGS[0]:-set}" has-stock "$STOCK"
echo "the application's documents are there"
