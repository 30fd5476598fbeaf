#!/usr/bin/env bash
# Has another member lead, as planned maintenance does.
#
#   move-leader.sh [--dir DIR] NAME     NAME leads now; nothing happens if it does not

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
old=${ARGS[0]:?move-leader.sh needs the name of the member that leads}
is_node "$old"
[[ $(leader) == "$old" ]] || exit 0
to=$(statuses | awk -v old="$old" '$1 != old { print $1; exit }')
# Its identifier, in the form that move-leader wants it.
id=$(ctl "$old" member list | awk -F', ' -v name="$to" '$3 == name { print $1 }')
ctl "$old" move-leader "$id" || die "the leader $old did not hand over to $to"
