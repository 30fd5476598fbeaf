#!/usr/bin/env bash
# Puts the newest copy of the node's disk in its place and starts the node; says which copy, and how many queues it
# holds. A disk that is not empty is refused. A node's data belongs to its name: the new node has the old one's.
#
#   restore.sh [--dir DIR] [--definitions-only]
#
# --definitions-only   there is no copy of the disk: a new node gets the exported definitions, so users, queues and
#                      bindings are back, and nothing that was in the queues

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(definitions-only)
parse_options "$@"
load_staging
! runs r1 || die "r1 runs; end it first"
[[ ! -e $DIR/r1 ]] || die "$DIR/r1 is there; what is restored must not mix with what is there"
copy=$(newest) || die "there is no copy"
if [[ -n $DEFINITIONS_ONLY ]]; then
  mkdir "$DIR/r1"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/r1"
else
  cp -a "$DIR/copies/$copy/r1" "$DIR/r1"
fi
launch_node r1
within 120 "r1 serves" all_serve
[[ -z $DEFINITIONS_ONLY ]] || api r1 /definitions -X POST -d "@$DIR/copies/$copy/definitions.json" ||
  die "r1 does not take the definitions"
echo "copy=$copy"
jq -r '"queues=\(.queues | length)"' "$DIR/copies/$copy/definitions.json"
