#!/usr/bin/env bash
# Restores the newest sound dump on a member that nobody uses (m4), and says what came of it: the dump's name, and each
# collection with its number of documents. One that is not empty is refused.
#
#   restore.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
name=$(newest) || die "there is no dump that is sound"
runs m4 || die "m4 does not run (up.sh --dumps starts it)"
echo "dump=$name"
ask m4 restore "$DIR/dumps/$name"
echo "$name" >"$DIR/restored"
