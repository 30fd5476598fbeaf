#!/usr/bin/env bash
# Prints the server's pid.
#
#   server-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
runs nfsd || die "the server does not run"
pid_of nfsd
