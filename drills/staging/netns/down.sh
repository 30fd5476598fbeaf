#!/usr/bin/env bash
# Ends what up.sh started, and takes its namespaces, interface and folder away. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"
end_recorded
if [[ -f $DIR/settings ]]; then
  load_staging
  # The interface here and its route go with their other end, at the latest when the kernel comes to it.
  [[ ! -e /sys/class/net/${NAME}h ]] || ip link del "${NAME}h"
  for name in "$STORE" "$EDGE"; do ! exists "$name" || ip netns del "$name"; done
fi
rm -rf "$DIR"
