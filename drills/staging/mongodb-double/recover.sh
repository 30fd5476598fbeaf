#!/usr/bin/env bash
# Everything that brings the set back, in one: what heals the outage if the drill is broken off. Nothing to do: nothing
# happens.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
! quiet "$HERE/is-whole.sh" --dir "$DIR" || exit 0
[[ -f $DIR/restored ]] || "$HERE/restore.sh" --dir "$DIR"
"$HERE/cut-over.sh" --dir "$DIR"
"$HERE/is-whole.sh" --dir "$DIR"
