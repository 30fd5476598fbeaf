#!/usr/bin/env bash
# Succeeds when clients work on this volume, and files can be written there.
#
#   is-primary.sh [--dir DIR] VOLUME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
load_staging
wanted=${ARGS[0]:?is-primary.sh needs a or b}
[[ $(primary) == "$wanted" ]] || die "clients work on volume $(primary)"
[[ $(stat -c %d "$DIR/service") == "$(stat -c %d "$DIR/$wanted/live")" ]] || die "something else is mounted"
timeout 5 sh -c 'echo alive >"$1/.alive" && sync -d "$1/.alive" && rm "$1/.alive"' sh "$DIR/service"
echo "clients work on volume $wanted"
