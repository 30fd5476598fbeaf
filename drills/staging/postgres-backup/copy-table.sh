#!/usr/bin/env bash
# Copies TABLE from the restored server into the one that clients use, in one transaction: whole if it is not there, its rows
# if it is. What was there before is replaced; pages that cannot be read are not read.
#
#   copy-table.sh [--dir DIR] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
table=${ARGS[0]:?copy-table.sh needs the name of a table}

there=$(sql "$(pg_port pg1)" app app "select to_regclass('$table') is not null")
export PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=6
{
  if [[ $there == t ]]; then
    # A new, empty file: the old one is thrown away unread.
    echo "truncate $table;"
    what=--data-only
  else
    what=--no-owner
  fi
  "$PGBIN/pg_dump" -h 127.0.0.1 -p "$(pg_port restored)" -U app -d app --table="$table" "$what" || echo "select 1 / 0;"
} | "$PGBIN/psql" -h 127.0.0.1 -p "$(pg_port pg1)" -U app -d app -Xq -v ON_ERROR_STOP=1 --single-transaction >/dev/null
echo "table=$table"
