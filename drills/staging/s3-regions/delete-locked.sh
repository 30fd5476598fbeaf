#!/usr/bin/env bash
# Succeeds when an object that is locked cannot be deleted.
#
#   delete-locked.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
s3 "$(cat "$DIR/active")" delete-locked
