# What the scripts of the PostgreSQL server with backups share: names, ports, how a server is started, and how
# pgBackRest is called. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=postgres-backup
# pg1 is what clients use; "restored" is where backups are restored, away from it.
NODES=(pg1 restored)
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# All ports follow from one: the port clients use BASE (HAProxy, pointed at one server), its admin BASE+2, PostgreSQL
# BASE+21 (pg1) and BASE+22 (restored), the page BASE+80.
set_ports() { WRITE_PORT=$BASE ADMIN_PORT=$((BASE + 2)) PAGE_PORT=$((BASE + 80)); }
pg_port() { case $1 in pg1) echo $((BASE + 21)) ;; restored) echo $((BASE + 22)) ;; esac; }
other() { [[ $1 == pg1 ]] && echo restored || echo pg1; }
is_node() { [[ " ${NODES[*]} " == *" $1 "* ]] || die "no server \"$1\" here (there are ${NODES[*]})"; }

answers() { [[ $(sql "$(pg_port "$1")" postgres postgres "select 1" 2>/dev/null) == 1 ]]; }
is_primary() { [[ $(sql "$(pg_port "$1")" postgres postgres "select not pg_is_in_recovery()" 2>/dev/null) == t ]]; }
serves_writes() { [[ $(sql "$WRITE_PORT" app app "select not pg_is_in_recovery()" 2>/dev/null) == t ]]; }

# pgBackRest as the servers' user. It finds the server by libpq's variables: there are no socket files here.
pgbackrest() {
  as_owner env PGHOST=127.0.0.1 PGPASSFILE="$DIR/pgpass" pgbackrest --config="$DIR/pgbackrest.conf" --stanza=main "$@"
}

launch_postgres() {
  end_orphans "$DIR/$1/data"
  launch "$1" "$PGBIN/postgres" -D "$DIR/$1/data"
}

# Tells HAProxy over its admin port; whatever it answers is an error.
haproxy_says() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$ADMIN_PORT"
  echo "$1" >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ -z ${answer//[$'\n ']/} ]] || die "haproxy refused \"$1\": $answer"
}

# Points the clients' port at NODE, and ends what is connected to the other one.
point_at() {
  local away
  away=$(other "$1")
  haproxy_says "set server write/$away state maint"
  haproxy_says "shutdown sessions server write/$away"
  haproxy_says "set server write/$1 state ready"
}
