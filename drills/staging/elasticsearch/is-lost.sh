#!/usr/bin/env bash
# Succeeds when the application's index is not there.
#
#   is-lost.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
there=$(es any GET '/shop*/_mapping' | jq 'length')
((there == 0)) || die "the application's index is there"
echo "the application's index is not there"
