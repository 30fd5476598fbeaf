#!/usr/bin/env bash
# Dumps the clients' database into a file of its own under dumps/, as a nightly job would, and prints its path. The dump
# is one snapshot (--single-transaction), and says where in the binary log that is (--master-data=2).
#
#   dump.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

number=$(($(find "$DIR/dumps" -name '*.sql' | wc -l) + 1))
file=$DIR/dumps/$number.sql
(umask 077 && mariadb-dump --defaults-file="$DIR/root.cnf" -P "$(port_of m1)" --single-transaction --master-data=2 \
  --routines --triggers app >"$file.part")
# Only a dump that is complete has the name of one.
mv "$file.part" "$file"
echo "file=$file"
