#!/usr/bin/env bash
# Takes a backup of the server that clients use, as a nightly job would. Its own exit status says whether it was stored;
# whether it is sound is in "pgbackrest info".
#
#   backup.sh [--dir DIR] [full|diff|incr]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

node=pg1
is_primary pg1 || node=restored
pgbackrest --type="${ARGS[0]:-incr}" --pg1-path="$DIR/$node/data" --pg1-port="$(pg_port "$node")" backup >>"$DIR/log/pgbackrest.log" 2>&1 ||
  { tail -n 15 "$DIR/log/pgbackrest.log" >&2; die "the backup was not stored"; }
