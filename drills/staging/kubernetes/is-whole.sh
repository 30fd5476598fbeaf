#!/usr/bin/env bash
# Succeeds if the shop is there as it was made: all pods ready, its Service and its settings there.
#
#   is-whole.sh --namespace NAME [--context CONTEXT] [--replicas N]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
said=$(k -n "$NAMESPACE" get deployment shop -o 'jsonpath={.status.readyReplicas}/{.status.updatedReplicas}/{.status.replicas}')
[[ $said == "$REPLICAS/$REPLICAS/$REPLICAS" ]] || die "ready/updated/all is $said, and $REPLICAS were wanted"
addresses=$(k -n "$NAMESPACE" get endpoints shop -o 'jsonpath={range .subsets[*].addresses[*]}{.ip}{"\n"}{end}' | wc -l)
[[ $addresses == "$REPLICAS" ]] || die "the Service leads to $addresses pods, and $REPLICAS were wanted"
k -n "$NAMESPACE" get configmap shop-settings shop-program -o name >/dev/null
