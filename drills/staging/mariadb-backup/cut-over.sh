#!/usr/bin/env bash
# Points the clients' port at the restored server: what a runbook would have people do with a DNS entry. The old server
# takes no more writes before that: clients that are still connected to it would write where nobody looks.
#
#   cut-over.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

takes_writes restored || die "the restored server does not take writes"
! answers m1 || sql m1 "set global read_only = 1"
fence m1
lead_to restored
within 20 "writes are served on port $WRITE_PORT" serves_writes
echo "name=restored"
