#!/usr/bin/env bash
# Makes the data of a new cluster from the newest sound snapshot, on each member's own disk, and says what the
# snapshot holds: its revision and how many keys. Members whose disk is not empty are refused; a cluster whose members
# know each other from before must not be mixed with the new one, so it has a token of its own.
#
#   restore.sh [--dir DIR] [SNAPSHOT]
#
# SNAPSHOT   another snapshot than the newest sound one that the staging's own job took

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
for node in "${NODES[@]}"; do
  ! runs "$node" || die "$node runs; end it first"
  [[ ! -e $DIR/$node/data ]] || die "$DIR/$node/data is there; what is restored must not mix with what is there"
done
if [[ -n ${ARGS[0]:-} ]]; then
  file=${ARGS[0]}
  etcdctl snapshot status "$file" >/dev/null 2>&1 || die "etcdctl does not find $file sound"
else
  file=$(newest) || die "there is no snapshot that etcdctl finds sound"
  file=$DIR/snapshots/$file
fi
echo "restored-$(date +%s)" >"$DIR/token"
for node in "${NODES[@]}"; do
  as_owner env ETCDCTL_API=3 etcdctl snapshot restore "$file" --name "$node" --data-dir "$DIR/$node/data" \
    --initial-cluster "$(cluster)" --initial-cluster-token "$(cat "$DIR/token")" \
    --initial-advertise-peer-urls "$(peer_url "$node")" >>"$DIR/log/restore.log" 2>&1 ||
    die "$node: $(tail -1 "$DIR/log/restore.log")"
done
echo "snapshot=${file##*/}"
etcdctl snapshot status "$file" -w json 2>/dev/null | jq -r '"revision=\(.revision)\nkeys=\(.totalKey)"'
