#!/usr/bin/env bash
# Prints a region's server: its name as name=a, the other region as other=b, its port, then its pid.
#
#   region-pids.sh [--dir DIR] REGION

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
region=${ARGS[0]:?region-pids.sh needs the name of a region: ${REGIONS[*]}}
is_region "$region"
runs "$region" || die "region $region does not run"
echo "name=$region"
echo "other=$(other "$region")"
echo "port=$(port_of "$region")"
pid_of "$region"
