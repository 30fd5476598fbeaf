#!/usr/bin/env bash
# Sends clients to a region, as a change in DNS or of a load balancer does, or nowhere. What is on its way is answered by
# the old one if that lives; every later request goes to the new one.
#
#   move-clients.sh [--dir DIR] REGION|nowhere

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
to=${ARGS[0]:?move-clients.sh needs the name of a region (${REGIONS[*]}), or nowhere}
if [[ $to == nowhere ]]; then
  for region in "${REGIONS[@]}"; do haproxy_says "set server regions/$region state maint"; done
else
  is_region "$to"
  haproxy_says "set server regions/$to state ready"
  haproxy_says "set server regions/$(other "$to") state maint"
fi
echo "name=$to"
