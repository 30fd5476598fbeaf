#!/usr/bin/env bash
# Succeeds when the server that clients' port leads to has no table TABLE; with --not, when it has it and takes writes.
#
#   is-dropped.sh [--dir DIR] [--not] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(not)
parse_options "$@"
load_staging
table=${ARGS[0]:?is-dropped.sh needs the name of a table}
there() {
  [[ $(as_app "show tables from app like '$table'") == "$table" ]]
}
if [[ -n $NOT ]]; then
  there || die "there is no table $table"
  serves_writes || die "no writes on port $WRITE_PORT"
  echo "$table is there"
else
  serves_writes || die "nobody answers on port $WRITE_PORT"
  ! there || die "$table is there"
  echo "$table is gone"
fi
