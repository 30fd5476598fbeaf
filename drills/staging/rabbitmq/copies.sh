#!/usr/bin/env bash
# Copies the node's disk every few seconds, and exports its definitions. The node stands still while it is copied, so a
# copy is one moment of its disk, as a snapshot of a volume is; a copy of a node that goes on writing is worth nothing.
#
#   copies.sh [--dir DIR] --every SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(every)
parse_options "$@"
load_staging
every=${ARGS[0]:?copies.sh needs --every SECONDS}

goes_on() { ! runs r1 || kill -s CONT "$(pid_of r1)" 2>/dev/null || true; }
trap goes_on EXIT
trap 'exit 1' INT TERM HUP
while :; do
  copy=$DIR/copies/unfinished
  rm -rf "$copy"
  mkdir "$copy"
  # What is declared is in the node's memory alone for up to two seconds: the copy has at least what is exported here.
  if runs r1 && api r1 /definitions >"$copy/definitions.json" && sleep 2.5 && kill -s STOP "$(pid_of r1)"; then
    now=$(date +%s)
    cp -a "$DIR/r1" "$copy/r1" && whole=yes || whole=
    goes_on
    # A node that was lost meanwhile is no copy.
    if [[ -n $whole ]] && runs r1; then
      mv "$copy" "$DIR/copies/$now"
    fi
  fi
  { ls -1 "$DIR/copies" | grep -E '^[0-9]+$' || true; } | sort -rn | tail -n +6 |
    while read -r old; do rm -rf "${DIR:?}/copies/$old"; done
  sleep "$every"
done
