#!/usr/bin/env bash
# Dumps the clients' database into a file of its own under dumps/, as a nightly job would, and prints its path.
#
#   dump.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

mkdir -p "$DIR/dumps"
number=$(($(find "$DIR/dumps" -name '*.dump' | wc -l) + 1))
file=$DIR/dumps/$number.dump
PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=6 "$PGBIN/pg_dump" -h 127.0.0.1 -p "$WRITE_PORT" -U app -d app -Fc -f "$file.part"
# Only a dump that is complete has the name of one.
mv "$file.part" "$file"
echo "file=$file"
