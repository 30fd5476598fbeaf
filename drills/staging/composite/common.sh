# What the scripts of the composite staging share: a service that keeps each record in two stores, rows in PostgreSQL and an
# index of them in etcd. The two stores are stagings of their own, below this one's folder. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=composite
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
HERE=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
export ETCDCTL_API=3

# All ports follow from one: PostgreSQL with backups BASE to BASE+80 (its up.sh), etcd BASE+100 to BASE+113, the service
# BASE+120.
set_ports() { SERVICE_PORT=$((BASE + 120)) WRITE_PORT=$BASE; }
etcd_ports() { echo $((BASE + 101)) $((BASE + 102)) $((BASE + 103)); }
etcd_members() { local p all=(); for p in $(etcd_ports); do all+=("127.0.0.1:$p"); done; (IFS=,; echo "${all[*]}"); }
service_url() { echo "http://127.0.0.1:$SERVICE_PORT"; }

# `postgres SCRIPT WORD…` and `etcd SCRIPT WORD…`: a script of the store's own staging.
postgres() { local script=$1; shift; "$HERE/../postgres-backup/$script" --dir "$DIR/postgres" "$@"; }
etcd() { local script=$1; shift; "$HERE/../etcd/$script" --dir "$DIR/etcd" "$@"; }

ctl() { etcdctl --endpoints "$(etcd_members)" --dial-timeout 1s --command-timeout 5s "$@" 2>/dev/null; }
# Rows as clients would read them, by the port that the service uses.
rows() { (DIR=$DIR/postgres && sql "$WRITE_PORT" app app "$1"); }
serves() { curl -sf -o /dev/null --max-time 2 "$(service_url)/visit"; }

# Recovery points that are whole, newest first.
points() { { ls -1 "$DIR/points" | grep -E '^[0-9]+\.point$' || true; } | sort -rn; }
