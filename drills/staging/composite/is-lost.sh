#!/usr/bin/env bash
# Succeeds when the service does not work: what a monitor would see.
#
#   is-lost.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
! serves || die "the service works"
echo "the service does not work"
