#!/usr/bin/env bash
# Succeeds when a file on the mount cannot be read within two seconds.
#
#   is-silent.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
mounted || die "nothing is mounted"
! answers || die "files can be read"
echo "no file can be read within two seconds"
