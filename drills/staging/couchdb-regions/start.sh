#!/usr/bin/env bash
# Starts regions with the disk that they have, or an empty one, gives each its database and its user if they are not there,
# and sets the replication between the regions up anew, both ways, if both run. Safe to repeat.
#
#   start.sh [--dir DIR] [--no-replication] REGION…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(no-replication)
parse_options "$@"
load_staging
((${#ARGS[@]})) || die "needs the name of a region: ${REGIONS[*]}"
answers() { in_region "$1" GET "" | jq -e .version >/dev/null 2>&1; }
# Looked at each time: right after a SIGKILL the old process may still be there, dying.
back() { runs "$1" || launch_server "$1"; answers "$1"; }
for region in "${ARGS[@]}"; do
  is_region "$region"
  as_owner mkdir -p "$DIR/$region/data"
  within 30 "region $region answers" back "$region"
  furnish "$region"
done
if [[ -z $NO_REPLICATION ]] && serves a && serves b; then
  for region in "${REGIONS[@]}"; do replicate "$region"; done
fi
echo "names=${ARGS[*]}"
