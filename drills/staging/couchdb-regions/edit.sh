#!/usr/bin/env bash
# Changes the first COUNT documents of the application in a region, as its clients there would; --settle keeps one of the
# revisions of each that are in conflict, as the application must, and deletes the others.
#
#   edit.sh [--dir DIR] [--settle] REGION COUNT

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(settle)
parse_options "$@"
load_staging
region=${ARGS[0]:?edit.sh needs the name of a region: ${REGIONS[*]}} count=${ARGS[1]:?edit.sh needs a number}
is_region "$region"
for ((n = 1; n <= count; n++)); do
  now=$(in_region "$region" GET "$DATABASE/item:$n?conflicts=true")
  if [[ -n $SETTLE ]]; then
    jq -c '{docs: [{_id, _rev: (._conflicts // [])[], _deleted: true}]}' <<<"$now" |
      in_region "$region" POST "$DATABASE/_bulk_docs" >/dev/null
  else
    jq -c --arg by "$region" 'del(._conflicts) | .by = $by' <<<"$now" |
      in_region "$region" PUT "$DATABASE/item:$n" >/dev/null
  fi
done
echo "edited=$count"
