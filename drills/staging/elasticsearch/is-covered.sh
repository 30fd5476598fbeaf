#!/usr/bin/env bash
# Succeeds when the newest sound snapshot has every index of a drill that is there.
#
#   is-covered.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
index=$(ledger_index)
[[ -n $index ]] || die "there is no index of a drill yet"
es any GET /_snapshot/backup/_all |
  jq -e --arg index "$index" '[.snapshots[] | select(.state == "SUCCESS")] | last | .indices | index($index)' >/dev/null ||
  die "the newest snapshot does not have $index"
echo "covered=$index"
