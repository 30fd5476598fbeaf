#!/usr/bin/env bash
# Succeeds when clients are sent to REGION and nowhere else.
#
#   is-active.sh [--dir DIR] REGION

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
region=${ARGS[0]:?is-active.sh needs the name of a region: ${REGIONS[*]}}
now=$(active)
[[ $now == "$region" ]] || die "clients are sent to: ${now:-nobody}"
echo "name=$now"
