#!/usr/bin/env bash
# Everything that brings one of the two stores back, in one: what heals an outage if the drill is broken off. It goes back to
# the recovery point that both share. Nothing to do: nothing happens.
#
#   recover.sh [--dir DIR] postgres|etcd

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
case ${ARGS[0]:-} in
  postgres)
    # All that was archived, which is at least the recovery point: no key is left without its row.
    postgres rebuild.sh
    ;;
  etcd)
    whole() { etcd is-whole.sh >/dev/null 2>&1; }
    whole && exit 0
    if ! [[ -e $DIR/etcd/e1/data && -e $DIR/etcd/e2/data && -e $DIR/etcd/e3/data ]]; then
      etcd lose.sh
      etcd restore.sh "$("$HERE/newest-point.sh" --dir "$DIR" | sed -n 's/^snapshot=//p')"
    fi
    etcd start.sh e1 e2 e3
    etcd is-whole.sh
    ;;
  *) die "which store: postgres or etcd?" ;;
esac
