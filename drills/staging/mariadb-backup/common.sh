# What the scripts of the MariaDB server with backups share: names, ports, and where its binary logs are kept. Sourced,
# never run.
# shellcheck shell=bash disable=SC2034
STAGING=mariadb-backup
# m1 is what clients use; "restored" is where backups are restored, away from it: nothing runs there until then.
NODES=(m1 restored)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=../mariadb.sh
source "$(dirname "${BASH_SOURCE[0]}")/../mariadb.sh"

# All ports follow from one: the port clients use BASE (HAProxy, pointed at one server), its admin BASE+2, MariaDB
# BASE+21 (m1) and BASE+22 (restored).
set_ports() { WRITE_PORT=$BASE ADMIN_PORT=$((BASE + 2)); }
port_of() { case $1 in m1) echo $((BASE + 21)) ;; restored) echo $((BASE + 22)) ;; esac; }
other() { [[ $1 == m1 ]] && echo restored || echo m1; }

has_table() {
  [[ $(sql "$1" "select count(*) from information_schema.tables where table_schema = 'app' and table_name = '$2'" \
    2>/dev/null) == 1 ]]
}

# The kept copy of m1's binary logs, up to the one that is written now, is what m1 has.
archived() {
  local name size
  while read -r name size _; do
    [[ $(stat -c %s "$DIR/archive/$name" 2>/dev/null) == "$size" ]] || return 1
  done < <(sql m1 "show binary logs")
}

# The newest dump that is complete.
newest_dump() {
  local file
  while read -r file; do
    ! tail -n 1 "$file" | grep -q '^-- Dump completed' || { echo "$file"; return 0; }
  done < <(ls -1 "$DIR"/dumps/*.sql 2>/dev/null | sort -rV)
  return 1
}
