#!/usr/bin/env bash
# Looks at every page of every table and index of the leader's database, as a nightly job would (pg_amcheck; pages that are
# not in the server's memory are read from their files, and their checksums are checked). Prints "sound", or the damaged
# ones as damaged=TABLE; what it could not look at is an error.
#
#   scrub.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

primary=$(leader) || die "the cluster has no leader now"
status=0
said=$(PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=6 LC_ALL=C "$PGBIN/pg_amcheck" -h 127.0.0.1 -p "$(pg_port "$primary")" \
  -U postgres -d app 2>&1) || status=$?
case $status in
  0) echo sound ;;
  # Its own word for "there is corruption"; lines begin with the name.
  2) sed -nE 's/^(heap table|btree index) "app\.([^"]*)".*/damaged=\2/p' <<<"$said" | sort -u ;;
  *) die "pg_amcheck ended with status $status: $said" ;;
esac
