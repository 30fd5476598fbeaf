#!/usr/bin/env bash
# Starts the server on the folder that a backup was restored into. Already running: nothing to do. Whether and how far it
# has replayed is asked of the server itself.
#
#   start-restored.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

[[ -e $DIR/restored/data ]] || die "nothing was restored into $DIR/restored/data"
runs restored || launch_postgres restored
echo "pid=$(pid_of restored)"
