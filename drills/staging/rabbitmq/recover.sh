#!/usr/bin/env bash
# Everything that brings the node back, in one: what heals the outage if the drill is broken off. Nothing to do: nothing
# happens.
#
#   recover.sh [--dir DIR] [--definitions-only]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(definitions-only)
parse_options "$@"
load_staging
here=$(dirname "$0") how=()
[[ -z $DEFINITIONS_ONLY ]] || how=(--definitions-only)
"$here/is-whole.sh" --dir "$DIR" "${how[@]}" >/dev/null 2>&1 && exit 0
if [[ ! -e $DIR/r1 ]]; then
  "$here/restore.sh" --dir "$DIR" "${how[@]}"
else
  "$here/start.sh" --dir "$DIR" r1
fi
"$here/is-whole.sh" --dir "$DIR" "${how[@]}"
