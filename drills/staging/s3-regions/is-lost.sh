#!/usr/bin/env bash
# Succeeds when a region does not answer.
#
#   is-lost.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
is_node "${ARGS[0]:-}"
! answers "${ARGS[0]}" || die "region ${ARGS[0]} answers"
echo "region ${ARGS[0]} does not answer"
