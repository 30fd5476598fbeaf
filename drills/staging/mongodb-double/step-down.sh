#!/usr/bin/env bash
# Changes the primary as planned maintenance does: it takes no more writes, waits until a majority has everything that it
# acknowledged, and hands over (replSetStepDown). It does not stand for election again for 20 s.
#
#   step-down.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
new=$(ask set step-down 20) || die "the primary does not step down"
echo "name=m$((${new##*:} - BASE))"
