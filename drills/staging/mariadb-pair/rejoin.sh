#!/usr/bin/env bash
# Brings the old primary NAME back as replica of the new one. MariaDB has nothing that takes a server back to where the
# two parted, so one that has transactions of its own (they were lost in the promotion) is thrown away and made again
# from a dump of the new primary; one that has none follows as it is. Already following: nothing to do.
#
#   rejoin.sh [--dir DIR] NAME

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
node=${ARGS[0]:?rejoin.sh needs the name of a node: ${NODES[*]}}
is_node "$node"
upstream=$(other "$node")

if ! { runs "$node" && follows "$node"; }; then
  is_primary "$upstream" || die "$upstream is not primary; promote it first"
  read -r _ parted <"$DIR/promoted"
  # One that was being made again when somebody stopped this script is half of one: it is made again from the start.
  if [[ ! -e $DIR/$node.half ]] && ! runs "$node"; then
    launch_server "$node"
    WATCH=$node within 60 "$node answers" answers "$node"
  fi
  if [[ ! -e $DIR/$node.half ]] && (($(last_of "$node") <= parted)); then
    sql "$node" "stop slave; set global gtid_slave_pos = @@global.gtid_current_pos"
  else
    echo "$node has transactions that $upstream has not: it is made again from a dump" >&2
    touch "$DIR/$node.half"
    cat "$DIR/pids/$node" | end_processes KILL
    configure "$node"
    launch_server "$node"
    WATCH=$node within 60 "$node answers" answers "$node"
    # --gtid puts the place into the dump from which the replica has to go on.
    (umask 077 && mariadb-dump --defaults-file="$DIR/root.cnf" -P "$(port_of "$upstream")" --single-transaction \
      --master-data=1 --gtid --databases app >"$DIR/rejoin.sql" 2>>"$DIR/log/$node.log")
    tail -n 1 "$DIR/rejoin.sql" | grep -q '^-- Dump completed' || die "the dump of $upstream is not complete"
    mariadb --defaults-file="$DIR/root.cnf" -P "$(port_of "$node")" --init-command="set sql_log_bin = 0" \
      <"$DIR/rejoin.sql"
    rm -f "$DIR/rejoin.sql"
  fi
  follow "$node"
fi
within 60 "$node follows $upstream" follows "$node"
rm -f "$DIR/$node.half"
require_replica "$upstream"
echo "name=$node"
