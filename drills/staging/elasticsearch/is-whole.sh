#!/usr/bin/env bash
# Succeeds when all of the application's documents are there, and the last of them is what it was.
#
#   is-whole.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
docs=$(docs_of shop) || die "the application's index is not there"
((docs == STOCK)) || die "$docs of $STOCK documents are there"
[[ $(es any GET "/shop/_doc/$STOCK" | jq -r ._source.item) == "item-$STOCK" ]] || die "the last document is not what it was"
echo "docs=$docs"
