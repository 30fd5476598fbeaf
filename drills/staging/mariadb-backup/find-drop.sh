#!/usr/bin/env bash
# Finds the last statement in the copied binary logs that drops TABLE, and prints the place right before it.
#
#   find-drop.sh [--dir DIR] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
table=${ARGS[0]:?find-drop.sh needs the name of a table}

found=
for file in $(ls "$DIR/archive" | sort -V); do
  # A transaction begins with its identifier (GTID): that is where it is stopped.
  at=$(mariadb-binlog --no-defaults --base64-output=decode-rows "$DIR/archive/$file" | awk -v table="$table" '
    /^# at / {at = $3}
    /^#.*[ \t]GTID / {begin = at}
    toupper($1) == "DROP" && toupper($2) == "TABLE" && index($0, table) {found = begin}
    END {print found}')
  [[ -z $at ]] || found=$file:$at
done
[[ -n $found ]] || die "no statement in the binary logs drops $table"
echo "position=$found"
