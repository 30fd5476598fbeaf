#!/usr/bin/env bash
# The disaster: somebody drops TABLE where clients write.
#
#   drop.sh [--dir DIR] TABLE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
table=${ARGS[0]:?drop.sh needs the name of a table}
has_table m1 "$table" || die "m1 has no table $table"
sql m1 "drop table app.$table"
