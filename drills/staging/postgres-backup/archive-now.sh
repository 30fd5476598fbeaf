#!/usr/bin/env bash
# Closes the WAL segment that pg1 writes and waits until it is archived: everything that was committed before this ran can
# be restored then.
#
#   archive-now.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

name=$(sql "$(pg_port pg1)" postgres postgres "select pg_walfile_name(pg_switch_wal())")
archived() {
  [[ $(sql "$(pg_port pg1)" postgres postgres "select last_archived_wal >= '$name' from pg_stat_archiver
    where last_archived_wal ~ '^[0-9A-F]{24}$'") == t ]]
}
within 30 "$name is archived" archived
echo "wal=$name"
