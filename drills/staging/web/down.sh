#!/usr/bin/env bash
# Ends what up.sh started, and removes its folder.
#
#   down.sh --dir DIR

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
[[ -d $DIR ]] || exit 0
for file in "$DIR"/*.supervisor; do
  [[ -f $file ]] || continue
  pid=$(cat "$file")
  rm -f "$file"
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "supervise.sh --dir $DIR "; then kill "$pid" || true; fi
done
for file in "$DIR"/*.args; do
  [[ -f $file ]] || continue
  name=$(basename "$file" .args)
  if pid=$(live "$name"); then
    kill -CONT "$pid" || true
    kill "$pid" || true
    until_it eval "! live $name >/dev/null" || { kill -9 "$pid" || true; }
    forget_clock "$pid"
  fi
done
rm -rf "$DIR"
