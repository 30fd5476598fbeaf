#!/usr/bin/env bash
# Succeeds when both regions have the application's documents, what is new in each is in the other, and clients are sent
# to one of them.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for region in "${REGIONS[@]}"; do
  serves "$region" || die "region $region does not serve"
  has_stock "$region" || die "region $region has not all documents of the application"
done
# While clients write something is always on its way: tried for a while.
for region in "${REGIONS[@]}"; do
  within 20 "what is new in region $region is in the other" arrives "$region" "$(other "$region")"
done
now=$(active)
[[ $now == [ab] ]] || die "clients are sent to: ${now:-nobody}"
echo "both regions have all, and clients are sent to $now"
