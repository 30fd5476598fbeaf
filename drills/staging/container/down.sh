#!/usr/bin/env bash
# Ends the containers, their engine and the relay, and removes the folder. Nothing there: nothing happens.
#
#   down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
[[ -f $MARKER ]] || exit 0
[[ $(cat "$MARKER") == "$STAGING" ]] || die "$DIR is a staging of another kind ($(cat "$MARKER"))"
# A frozen container cannot be ended; the engine thaws it when it is removed.
if runs engine; then
  mapfile -t containers < <(timeout 20 docker -H "unix://$(SOCKET)" ps -aq 2>/dev/null || true)
  ((${#containers[@]} == 0)) || timeout 30 docker -H "unix://$(SOCKET)" rm -f "${containers[@]}" >/dev/null 2>&1 || true
fi
end_recorded
# What an engine that was killed leaves behind is known by the folder in its command line.
{ grep -lsaF -- "$DIR/exec/" /proc/[0-9]*/cmdline || true; } | while read -r file; do
  pid=${file#/proc/} pid=${pid%/cmdline}
  echo "$pid $(started_at "$pid")"
done | end_processes KILL
rm -rf --one-file-system "$DIR"
