#!/usr/bin/env bash
# Brings the shop up, or down, in two clusters: regions.sh up|down NAMESPACE FIRST-CONTEXT SECOND-CONTEXT
#
# As up.sh and down.sh do in each; both at once. Prints namespace=… when both are up.

set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
VERB=${1:?up or down} NAMESPACE=${2:?a namespace} FIRST=${3:?a context} SECOND=${4:?a context}
"$HERE/$VERB.sh" --namespace "$NAMESPACE" --context "$FIRST" >/dev/null &
first=$!
"$HERE/$VERB.sh" --namespace "$NAMESPACE" --context "$SECOND" >/dev/null &
second=$!
failed=0
wait "$first" || failed=1
wait "$second" || failed=1
((failed == 0)) || { echo "regions.sh: not $VERB in both clusters" >&2; exit 1; }
echo "namespace=$NAMESPACE"
