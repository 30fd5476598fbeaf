#!/usr/bin/env bash
# Starts one web server (again) and returns when it serves. Nothing happens if it runs.
#
#   start.sh --dir DIR NAME
#
# PYTHON in the staging's settings says what runs it; $DIR/NAME.args what follows the pidfile.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
NAME=${1:?a name}
read -r -a ARGS <"$DIR/$NAME.args"
SCHEME=http
[[ ${#ARGS[@]} -eq 1 ]] || SCHEME=https
if ! live "$NAME" >/dev/null; then
  [[ ! -s $DIR/$NAME.pid ]] || forget_clock "$(cat "$DIR/$NAME.pid")"
  ENVIRONMENT=()
  [[ ! -f $DIR/$NAME.env ]] || mapfile -t ENVIRONMENT <"$DIR/$NAME.env"
  setsid env "${ENVIRONMENT[@]}" /usr/bin/python3 "$HERE/web.py" "$DIR/$NAME.pid" "${ARGS[@]}" \
    </dev/null >>"$DIR/$NAME.log" 2>&1 &
fi
until_it live "$NAME" >/dev/null || die "$NAME does not start: $(tail -n 1 "$DIR/$NAME.log")"
until_it serves "$SCHEME://127.0.0.1:${ARGS[0]}/" || die "$NAME does not serve"
