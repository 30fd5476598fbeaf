#!/usr/bin/env bash
# Starts the server again that has died, with the files that it has, and waits until clients are served. Safe to repeat.
#
#   start.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() { runs nfsd || launch_server; listens; }
within 30 "the server listens on port $BASE" back
within 30 "clients are served" answers
