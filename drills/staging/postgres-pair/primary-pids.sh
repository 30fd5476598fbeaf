#!/usr/bin/env bash
# Prints the current primary: its name as name=pg1, then the pid of its postmaster.
#
#   primary-pids.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=$(primary) || die "the pair has no primary now"
read -r postmaster _ < <(postmaster_of "$DIR/$node/data") || die "no postmaster runs in $DIR/$node/data"
echo "name=$node"
echo "other=$(other "$node")"
echo "port=$(pg_port "$node")"
echo "$postmaster"
