#!/usr/bin/env bash
# Everything that brings r1 back, in one: what heals the outage if the drill is broken off. Nothing to do: nothing
# happens.
#
#   recover.sh [--dir DIR] [--log]     --log: from what r1 has appended (see fetch.sh), if that can be had

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(log)
parse_options "$@"
load_staging
here=$(dirname "$0")
if ! { runs r1 && has_stock r1 && is_primary r1; }; then
  if ! { runs r2 && has_stock r2; }; then
    [[ ! -f $DIR/pids/r2 ]] || { cat "$DIR/pids/r2" | end_processes TERM; }
    rm -rf "$DIR/r2/data"
    as_owner mkdir -p "$DIR/r2/data"
    "$here/fetch.sh" --dir "$DIR" ${LOG:+--log} || "$here/fetch.sh" --dir "$DIR"
    "$here/start-restored.sh" --dir "$DIR"
  fi
fi
"$here/cut-over.sh" --dir "$DIR"
