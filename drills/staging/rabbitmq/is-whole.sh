#!/usr/bin/env bash
# Succeeds when the node has every queue that the newest exported definitions name, and the application's messages; with
# --definitions-only, whatever is in the queues.
#
#   is-whole.sh [--dir DIR] [--definitions-only]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(definitions-only)
parse_options "$@"
load_staging
all_serve || die "not all nodes serve"
copy=$(newest) || die "there is no copy"
there=$(api_any "/queues/%2F?columns=name" | jq -c '[.[].name] | sort') || die "the queues cannot be listed"
missing=$(jq -r --argjson there "$there" '[.queues[].name] - $there | join(" ")' "$DIR/copies/$copy/definitions.json")
[[ -z $missing ]] || die "queues are missing: $missing"
[[ -n $DEFINITIONS_ONLY ]] || has_message stock || die "the application's messages are gone"
echo "all queues are there"
