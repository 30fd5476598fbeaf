#!/usr/bin/env bash
# Replaces the rows of TABLE on the leader by those of a standby, in one transaction: a damaged page of the leader is in its
# file alone, standbys have their own. The table gets a new file; the old one is thrown away unread. Only who uses this very
# table meanwhile waits.
#
#   repair-table.sh [--dir DIR] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
table=${ARGS[0]:?repair-table.sh needs the name of a table}

primary=$(leader) || die "the cluster has no leader now"
for node in "${NODES[@]}"; do [[ $node == "$primary" ]] || ! streams "$node" || source=$node; done
[[ -n ${source:-} ]] || die "no standby streams from $primary"
export PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=6
# Into a file first: a standby cannot be read while it replays that the table is locked.
rows=$DIR/repair.sql
trap 'rm -f "$rows"' EXIT
"$PGBIN/pg_dump" -h 127.0.0.1 -p "$(pg_port "$source")" -U app -d app --table="$table" --data-only >"$rows"
{ echo "truncate $table;" && cat "$rows"; } |
  "$PGBIN/psql" -h 127.0.0.1 -p "$(pg_port "$primary")" -U app -d app -Xq -v ON_ERROR_STOP=1 --single-transaction >/dev/null
[[ $table != customers ]] || settle_customers "$(pg_port "$primary")"
echo "from=$source"
