#!/usr/bin/env bash
# Deletes the pods of the shop that are not ready, so that their controller makes new ones at once.
#
#   restart.sh --namespace NAME [--context CONTEXT]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
template='{{range .items}}{{$name := .metadata.name}}{{range .status.conditions}}{{if and (eq .type "Ready") (ne .status "True")}}{{$name}}{{"\n"}}{{end}}{{end}}{{end}}'
mapfile -t crashing < <(k -n "$NAMESPACE" get pods -l app=shop -o "go-template=$template")
((${#crashing[@]} == 0)) || k -n "$NAMESPACE" delete pod --wait=false --ignore-not-found "${crashing[@]}"
