#!/usr/bin/env bash
# Changes the primary as planned maintenance does, without losing a write.
#
#   switchover.sh [--dir DIR] [--plain]
#
# --plain   nothing but SENTINEL FAILOVER. The old primary is told only some ten seconds later that it is one no more;
#           until then it goes on acknowledging writes of clients that are connected to it, and throws them away: this
#           loses acknowledged writes. Default: writes wait at the old primary (CLIENT PAUSE) until every replica has what
#           it acknowledged, and it is made a replica at once, before they go on.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(plain)
parse_options "$@"
load_staging

old=$(primary) || die "there is no primary that all Sentinels name"
# Every replica has confirmed what the primary has written.
caught_up() {
  local written offset
  written=$(replication "$old" master_repl_offset)
  while read -r offset; do
    ((offset >= written)) || return 1
  done < <(ask "$old" info replication | tr -d '\r' | sed -n 's/^slave[0-9]*:.*state=online,offset=\([0-9]*\).*/\1/p')
}
if [[ -z $PLAIN ]]; then
  # Should everything else fail, writes go on by themselves.
  ask "$old" client pause 30000 write >/dev/null || die "$old does not hold writes back"
  within 5 "the replicas have what $old has acknowledged" caught_up
fi
ask s1 sentinel failover "$NAME" >/dev/null || die "the Sentinel s1 does not fail over"
changed() {
  local new
  new=$(primary) && [[ $new != "$old" ]]
}
within 20 "all Sentinels name another primary" changed
new=$(primary)
if [[ -z $PLAIN ]]; then
  # As a Sentinel would in a while. What waited is refused then, and its clients look for the primary again.
  ask "$old" replicaof 127.0.0.1 "$(port_of "$new")" >/dev/null || die "$old does not become a replica"
  ask "$old" client unpause >/dev/null || true
fi
is_replica() { [[ $(role_of "$old") == slave ]]; }
within 30 "$old is a replica" is_replica
echo "name=$new"
echo "old=$old"
