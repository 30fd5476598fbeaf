#!/usr/bin/env bash
# Changes roles in order: the primary takes no more writes, NAME applies all of it, becomes primary, and the old primary
# follows it. Already primary: nothing to do.
#
#   switchover.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?switchover.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
old=$(other "$node")

if ! is_primary "$node"; then
  within 30 "$node follows $old" follows "$node"
  # It waits for commits that are under way; whoever comes after them is refused. Users with READ_ONLY ADMIN are not.
  sql "$old" "set global read_only = 1"
  caught_up() { (($(last_of "$node") >= $(last_of "$old"))); }
  within 30 "$node has everything that $old has" caught_up
  fence "$old"
  become_primary "$node"
  lead_to "$node"
  within 20 "writes are served on port $WRITE_PORT" serves_writes
fi
"$(dirname "$0")/rejoin.sh" --dir "$DIR" "$old" >/dev/null
echo "name=$node"
