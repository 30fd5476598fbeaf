#!/usr/bin/env bash
# Succeeds when the newest exported definitions name a queue.
#
#   is-exported.sh [--dir DIR] QUEUE

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
queue=${ARGS[0]:?is-exported.sh needs the name of a queue}
copy=$(newest) || die "there is no copy"
jq -e --arg queue "$queue" 'any(.queues[]; .name == $queue)' "$DIR/copies/$copy/definitions.json" >/dev/null ||
  die "$queue is not among the exported definitions"
echo "$queue"
