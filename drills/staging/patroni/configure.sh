#!/usr/bin/env bash
# Writes the configuration of the Patroni staging: one file per node (mode 0600: they hold passwords), the lines between
# them, and HAProxy's.
#
#   configure.sh [--dir DIR]          up.sh calls this

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

# ttl 20 s: a leader that dies without a word keeps its key that long, so a failover takes about 20 s. loop_wait and
# retry_timeout obey Patroni's rule loop_wait + 2 * retry_timeout <= ttl. With --short the failover takes about 10 s: for
# drills that run often; later versions of Patroni refuse a ttl below 20.
if [[ -n $SHORT ]]; then TTL=10 LOOP_WAIT=1 RETRY_TIMEOUT=4; else TTL=20 LOOP_WAIT=2 RETRY_TIMEOUT=9; fi

# Whatever has to do with other nodes goes over the node's line: what it tells them of itself leads there.
node_config() {
  local node=$1
  cat <<YAML
scope: blackstart
name: $node
restapi: {listen: 127.0.0.1:$(rest_port "$node"), connect_address: 127.0.0.1:$(rest_line "$node")}
etcd3: {hosts: ["127.0.0.1:$(etcd_line "$node")"], use_proxies: true}
bootstrap:
  dcs:
    ttl: $TTL
    loop_wait: $LOOP_WAIT
    retry_timeout: $RETRY_TIMEOUT
    maximum_lag_on_failover: 1048576
    synchronous_mode: $([[ -n $SYNC ]] && echo on || echo off)
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        max_connections: 100
        shared_buffers: 64MB
        wal_keep_size: 256MB
        max_wal_size: 1GB
        wal_log_hints: on
        hot_standby: on
        log_min_messages: warning
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, {auth: scram-sha-256}, data-checksums, no-sync]
  pg_hba:
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication replicator 127.0.0.1/32 scram-sha-256
postgresql:
  listen: 127.0.0.1:$(pg_port "$node")
  connect_address: 127.0.0.1:$(pg_line "$node")
  data_dir: $DIR/$node/data
  bin_dir: $PGBIN
  pgpass: $DIR/$node/pgpass
  use_unix_socket: false
  authentication:
    superuser: {username: postgres, password: $(cat "$DIR/postgres.password")}
    replication: {username: replicator, password: $(cat "$DIR/replicator.password")}
  parameters: {unix_socket_directories: ''}
  basebackup: [{checkpoint: fast}, no-sync]
YAML
}

# The cable of a node's host: replication, what the others ask its REST API, and its way to etcd. Clients do not use it.
# Stopped (SIGSTOP), it is a cable that is cut: connections stand, and nothing passes.
line_config() {
  local node=$1
  cat <<CFG
global
  maxconn 500
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:$(pg_line "$node")
  server $node 127.0.0.1:$(pg_port "$node")
listen rest
  bind 127.0.0.1:$(rest_line "$node")
  server $node 127.0.0.1:$(rest_port "$node")
listen etcd
  bind 127.0.0.1:$(etcd_line "$node")
  server etcd 127.0.0.1:$ETCD_PORT
CFG
}

for node in "${NODES[@]}"; do
  mkdir -p "$DIR/$node"
  chmod 700 "$DIR/$node"
  (umask 077 && node_config "$node" >"$DIR/$node/patroni.yml")
  line_config "$node" >"$DIR/$node/line.cfg"
  ((EUID != 0)) || chown -R "$RUN_AS" "$DIR/$node"
done

servers() { # role checks go to Patroni's REST API, traffic to PostgreSQL
  local node
  for node in "${NODES[@]}"; do
    echo "  server $node 127.0.0.1:$(pg_port "$node") check port $(rest_port "$node")"
  done
}
rest_servers() {
  local node
  for node in "${NODES[@]}"; do echo "  server $node 127.0.0.1:$(rest_port "$node") check"; done
}

cat >"$DIR/haproxy.cfg" <<CFG
global
  maxconn 1000
  stats socket ipv4@127.0.0.1:$ADMIN_PORT level admin
defaults
  mode tcp
  retries 1
  timeout connect 1s
  timeout check 1s
  timeout client 1h
  timeout server 1h
  timeout queue 1s
  default-server inter 1s fastinter 250ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions

listen write
  bind 127.0.0.1:$WRITE_PORT
  option httpchk OPTIONS /primary
  http-check expect status 200
$(servers)

listen read
  bind 127.0.0.1:$READ_PORT
  balance roundrobin
  option httpchk OPTIONS /replica
  http-check expect status 200
$(servers)

listen rest
  mode http
  bind 127.0.0.1:$REST_PORT
  timeout client 5s
  timeout server 5s
  retries 2
  option redispatch 1
  retry-on conn-failure empty-response
$(rest_servers)
CFG
