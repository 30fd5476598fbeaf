#!/usr/bin/env bash
# Everything that brings the indices back, in one: what heals the outage if the drill is broken off. Nothing to do:
# nothing happens.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
whole() { "$HERE/is-whole.sh" --dir "$DIR" >/dev/null 2>&1; }
whole || "$HERE/restore.sh" --dir "$DIR"
"$HERE/is-whole.sh" --dir "$DIR"
