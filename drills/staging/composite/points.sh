#!/usr/bin/env bash
# Makes a recovery point that both stores share, again and again, for as long as it runs: first a snapshot of etcd, then the
# place in PostgreSQL's WAL, which is archived up to there. A record's row is written before its key, so every key of the
# snapshot has its row at that place. A point is published, under the second it was begun in, when both halves are safe; the
# last 20 are kept.
#
#   points.sh [--dir DIR] SECONDS

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
every=${ARGS[0]:?points.sh needs the seconds between two points}

# PostgreSQL by the port that clients use, wherever that leads: after a restore that is another server.
asked() { (DIR=$DIR/postgres && sql "$WRITE_PORT" postgres postgres "$1"); }
archived() {
  [[ $(asked "select last_archived_wal >= '$1' from pg_stat_archiver where last_archived_wal ~ '^[0-9A-F]{24}$'") == t ]]
}

# One point; fails when a half of it is not to be had.
point() {
  local began=$1 lsn wal
  rm -f "$DIR/points/unfinished.db"
  # A snapshot is asked of one member; the next one is asked when it does not give one.
  local port saved=
  for port in $(etcd_ports); do
    etcdctl --endpoints "127.0.0.1:$port" --dial-timeout 1s --command-timeout 5s snapshot save "$DIR/points/unfinished.db" \
      >/dev/null 2>&1 && { saved=yes; break; }
  done
  [[ -n $saved ]] || return 1
  lsn=$(asked "select pg_current_wal_insert_lsn()") || return 1
  wal=$(asked "select pg_walfile_name(pg_switch_wal())") || return 1
  within 30 "$wal is archived" archived "$wal" || return 1
  chmod 644 "$DIR/points/unfinished.db"
  mv "$DIR/points/unfinished.db" "$DIR/points/$began.db"
  printf 'at=%s\nsnapshot=%s\nlsn=%s\nwal=%s\n' "$began" "$DIR/points/$began.db" "$lsn" "$wal" >"$DIR/points/unfinished"
  mv "$DIR/points/unfinished" "$DIR/points/$began.point"
}

while :; do
  began=$(date +%s)
  point "$began" || echo "no recovery point at $began"
  points | tail -n +21 | while read -r old; do rm -f "$DIR/points/$old" "$DIR/points/${old%.point}.db"; done
  sleep "$every"
done
