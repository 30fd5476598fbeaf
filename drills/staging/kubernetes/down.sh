#!/usr/bin/env bash
# Takes the shop down: removes its namespace, if it is this staging's, and waits until it is gone.
#
#   down.sh --namespace NAME [--context CONTEXT] [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"

[[ -z $DIR ]] || rm -rf "$DIR/checkout" "$DIR/shop.git"
there || exit 0
ours || die "the namespace $NAMESPACE is not of this staging: it is left alone"
k delete namespace "$NAMESPACE" --wait=false >/dev/null
gone() { ! there; }
within 120 "the namespace $NAMESPACE is gone" gone
