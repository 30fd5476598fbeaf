#!/usr/bin/env bash
# Prints the pids of the links between the regions: of the one that leads out of a region, or of both.
#
#   link-pids.sh [--dir DIR] REGION…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a region: ${REGIONS[*]}"
for region in "${ARGS[@]}"; do
  is_region "$region"
  name=link-$region-$(other "$region")
  runs "$name" || die "$name does not run"
  pid_of "$name"
done
