#!/usr/bin/env bash
# Ends everything that up.sh started, the two stores' stagings with it, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"

# First what uses the stores.
end_recorded
failed=
postgres down.sh || failed=PostgreSQL
etcd down.sh || failed="${failed:+$failed and }etcd"
[[ -z $failed ]] || die "$failed did not go down"
rm -rf "$DIR"
