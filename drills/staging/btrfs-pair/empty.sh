#!/usr/bin/env bash
# Somebody removes everything where clients work, by mistake. The file system goes on as if nothing had happened, and so do
# its snapshots: those that are taken from now on are empty.
#
#   empty.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
empty() {
  find "$DIR/service" -xdev -mindepth 1 -delete 2>/dev/null || true
  [[ -z $(ls -A "$DIR/service") ]]
}
# Clients make new files meanwhile.
within 10 "everything in $DIR/service is removed" empty
