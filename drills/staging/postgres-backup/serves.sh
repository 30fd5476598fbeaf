#!/usr/bin/env bash
# Exit status 0 when the clients' port takes writes.
#
#   serves.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

serves_writes || die "no writes on port $WRITE_PORT"
echo "writes are served on port $WRITE_PORT"
