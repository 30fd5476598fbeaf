#!/usr/bin/env bash
# A supervisor as simple as can be: starts a web server again whenever it ends, until its own pidfile is gone.
#
#   supervise.sh --dir DIR NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
NAME=${1:?a name}
echo $$ >"$DIR/$NAME.supervisor"
read -r -a ARGS <"$DIR/$NAME.args"
while [[ -f $DIR/$NAME.supervisor ]]; do
  /usr/bin/python3 "$HERE/web.py" "$DIR/$NAME.pid" "${ARGS[@]}" </dev/null >>"$DIR/$NAME.log" 2>&1 || true
  # Its port may still be in use for a moment.
  sleep 0.1
done
