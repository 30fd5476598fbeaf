#!/usr/bin/env bash
# Leads clients to a region, as a change of a name in DNS would. The region must answer.
#
#   move.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
is_node "${ARGS[0]:-}"
answers "${ARGS[0]}" || die "region ${ARGS[0]} does not answer"
lead_to "${ARGS[0]}"
echo "active=${ARGS[0]}"
