# Shared by the scripts of this staging: options, and kubectl on the right cluster. Sourced, never run.
# shellcheck shell=bash

set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The namespaces of this staging say whose they are; no other is ever removed.
MINE=blackstart.dev/staging

die() { echo "${0##*/}: $*" >&2; exit 1; }

NAMESPACE='' CONTEXT='' DIR='' REPLICAS=3
while (($#)); do
  case $1 in
    --namespace) NAMESPACE=${2:?--namespace needs a name}; shift 2 ;;
    --context) CONTEXT=${2-}; shift 2 ;;
    --replicas) REPLICAS=${2:?--replicas needs a number}; shift 2 ;;
    --dir) DIR=${2:?--dir needs a path}; shift 2 ;;
    -h | --help) sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) die "unknown option $1" ;;
  esac
done
[[ -n $NAMESPACE ]] || die "name the namespace: --namespace NAME"
command -v kubectl >/dev/null || die "kubectl is needed (Debian: kubernetes-client)"

k() { kubectl ${CONTEXT:+--context "$CONTEXT"} --request-timeout=20s "$@"; }

# Condition with a deadline: within SECONDS WHAT command…
within() {
  local limit=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    ((SECONDS < end)) || { echo "${0##*/}: not within ${limit} s: $what" >&2; return 1; }
    sleep 0.3
  done
}

ours() { [[ $(k get namespace "$NAMESPACE" -o "jsonpath={.metadata.labels.blackstart\.dev/staging}" 2>/dev/null) == shop ]]; }
there() { k get namespace "$NAMESPACE" >/dev/null 2>&1; }
