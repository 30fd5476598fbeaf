#!/usr/bin/env bash
# The way back, whatever has happened: if clients have TABLE nothing is done; else the newest dump and the copied binary
# logs up to the drop are restored beside the server, and the clients' port leads there. Safe to repeat.
#
#   recover.sh [--dir DIR] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
table=${ARGS[0]:?recover.sh needs the name of a table}
here=$(dirname "$0")

! "$here/is-dropped.sh" --dir "$DIR" --not "$table" >/dev/null 2>&1 || exit 0
if ! has_table restored "$table"; then
  # What an interrupted restore left is not worth keeping: the backup has it all.
  [[ ! -f $DIR/pids/restored ]] || { cat "$DIR/pids/restored" | end_processes KILL; }
  "$here/archive-now.sh" --dir "$DIR" >/dev/null
  place=$("$here/find-drop.sh" --dir "$DIR" "$table")
  place=${place#position=}
  file=$(newest_dump) || die "there is no complete dump"
  from=$(sed -n "1,80s/^-- CHANGE MASTER TO MASTER_LOG_FILE='\([^']*\)', MASTER_LOG_POS=\([0-9]*\);/\1:\2/p" "$file")
  "$here/start-empty.sh" --dir "$DIR" >/dev/null
  load() { mariadb --defaults-file="$DIR/root.cnf" -P "$(port_of restored)" app; }
  load <"$file"
  files=()
  for name in $(ls "$DIR/archive" | sort -V); do
    [[ $name < ${from%%:*} || $name > ${place%%:*} ]] || files+=("$DIR/archive/$name")
  done
  mariadb-binlog --no-defaults --start-position="${from##*:}" --stop-position="${place##*:}" "${files[@]}" | load
fi
"$here/cut-over.sh" --dir "$DIR"
