#!/usr/bin/env bash
# Succeeds when clients are served, and the application's files are at the server.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
runs nfsd || die "the server does not run"
mounted || die "nothing is mounted"
answers || die "clients are not served"
has_stock "$DIR/export" || die "the application's files are not at the server"
echo "whole"
