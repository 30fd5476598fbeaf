#!/usr/bin/env bash
# Moves clients to the other region as planned maintenance does, without losing a write: nobody is let in until that
# region has all that the first one acknowledged, and the sync goes the other way from then on.
#
#   switchover.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
new=${ARGS[0]:-}
is_node "$new"
old=$(other_of "$new")
[[ $(cat "$DIR/active") == "$old" ]] || die "clients are not in region $old"
# Refused, not kept waiting: what a client sends now is definitely not done.
front "disable frontend clients"
trap '(front "enable frontend clients") || true' EXIT
# What was let in before is answered first.
busy() { [[ -n $(ss -Htn state established "dport = :$(port_of "$old")" "src 127.0.0.1") ]]; }
settled() { cat "$DIR/pids/sync" | end_processes KILL; s3 "$old" copy "$(port_of "$new")" | grep -qx copied=0; }
quiet() { ! busy; }
cat "$DIR/pids/sync" | end_processes KILL
within 10 "what is under way is answered" quiet
within 30 "region $new has what region $old has" settled
lead_to "$new"
launch_sync "$new" "$old"
echo "active=$new"
