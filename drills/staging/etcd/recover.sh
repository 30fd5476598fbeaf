#!/usr/bin/env bash
# Everything that brings the cluster back, in one: what heals the outage if the drill is broken off. Nothing to do:
# nothing happens.
#
#   recover.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
here=$(dirname "$0")
whole() { "$here/is-whole.sh" --dir "$DIR" >/dev/null 2>&1; }
whole && exit 0
whole_disks() { local n; for n in "${NODES[@]}"; do [[ -e $DIR/$n/data ]] || return 1; done; }
if ! whole_disks; then
  "$here/lose.sh" --dir "$DIR"
  "$here/restore.sh" --dir "$DIR"
fi
"$here/start.sh" --dir "$DIR" "${NODES[@]}"
"$here/is-whole.sh" --dir "$DIR"
