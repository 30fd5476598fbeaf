#!/usr/bin/env bash
# The way back, whatever has happened: if the clients' port takes writes nothing is done; else the newest backup and all
# archived WAL are restored beside the lost server, it is started, and the clients' port leads there. Safe to repeat.
#
#   rebuild.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
here=$(dirname "$0")

serves_writes && exit 0
if ! is_primary restored; then
  # What an interrupted restore left is not worth keeping: the backup has it all.
  end_postmaster "$DIR/restored/data"
  end_orphans "$DIR/restored/data"
  rm -rf "$DIR/restored/data"
  pgbackrest --pg1-path="$DIR/restored/data" restore >>"$DIR/log/pgbackrest.log" 2>&1
  "$here/start-restored.sh" --dir "$DIR" >/dev/null
  WATCH=restored within 60 "the restored server takes writes" is_primary restored
fi
"$here/cut-over.sh" --dir "$DIR"
