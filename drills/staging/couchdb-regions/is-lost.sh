#!/usr/bin/env bash
# Succeeds when no server of these regions runs.
#
#   is-lost.sh [--dir DIR] REGION…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a region: ${REGIONS[*]}"
for region in "${ARGS[@]}"; do ! runs "$region" || die "region $region runs"; done
echo "no server of ${ARGS[*]} runs"
