#!/usr/bin/env bash
# Points the clients' port at the restored server: what a runbook would have people do with a DNS entry. While the old one
# still runs as primary this is refused: clients that are still connected to it would write where nobody looks.
#
#   cut-over.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

! is_primary pg1 || die "pg1 still runs as primary; stop it first"
is_primary restored || die "the restored server does not take writes"
point_at restored
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=restored"
