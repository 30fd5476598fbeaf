#!/usr/bin/env bash
# Succeeds when some of the application's objects are gone.
#
#   is-spoilt.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
s3 "$(cat "$DIR/active")" lost
