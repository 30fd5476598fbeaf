# What the stagings of MariaDB share: a server's folder and configuration, its users, starting and asking it. Sourced
# after lib.sh, never run. What does not live here: who follows whom.
# shellcheck shell=bash

RUN_AS=mysql

find_mariadb() {
  # Not in every user's path.
  MARIADBD=$(command -v mariadbd || ls /usr/sbin/mariadbd 2>/dev/null) ||
    die "not installed: MariaDB (on Debian: tests/install.sh)"
  need_tools mariadb mariadb-dump mariadb-binlog mariadb-install-db
}

# Passwords of the users, and a file with root's for the programs, so that it is in no process list.
make_maria_passwords() {
  local user
  for user in root replicator app; do make_password "$DIR/$user.password"; done
  # Of the servers' user: it reads them to make the users.
  (umask 077 && cat >"$DIR/root.cnf") <<CONF
[client]
user=root
password=$(cat "$DIR/root.password")
protocol=tcp
host=127.0.0.1
CONF
  # Each server carries these out whenever it starts: its users are its own, and in no binary log.
  (umask 077 && cat >"$DIR/users.sql") <<SQL
set sql_log_bin = 0;
create user if not exists root@'127.0.0.1';
alter user root@'127.0.0.1' identified by '$(cat "$DIR/root.password")';
grant all privileges on *.* to root@'127.0.0.1' with grant option;
alter user root@localhost identified by '$(cat "$DIR/root.password")';
create user if not exists replicator@'127.0.0.1' identified by '$(cat "$DIR/replicator.password")';
grant replication slave on *.* to replicator@'127.0.0.1';
create user if not exists app@'127.0.0.1' identified by '$(cat "$DIR/app.password")';
grant all privileges on app.* to app@'127.0.0.1';
grant replica monitor on *.* to app@'127.0.0.1';
SQL
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/root.cnf" "$DIR/users.sql"
}

# `make_server NODE PORT ID [LINE…]`: an empty data folder and a configuration, with these lines at its end.
make_server() {
  local node=$1 port=$2 id=$3 line
  shift 3
  mkdir -p "$DIR/$node"
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/$node"
  chmod 700 "$DIR/$node"
  as_owner mkdir -p "$DIR/$node/tmp"
  # A server that starts removes what looks like an earlier one's temporary tables: in /tmp they may be another server's.
  {
    cat <<CONF
[mariadbd]
datadir=$DIR/$node/data
tmpdir=$DIR/$node/tmp
socket=$DIR/$node/sock
pid-file=$DIR/$node/mariadbd.pid
port=$port
bind-address=127.0.0.1
skip-name-resolve
server-id=$id
log-bin=$DIR/$node/data/binlog
binlog-format=ROW
log-slave-updates
gtid-strict-mode
gtid-domain-id=0
sync-binlog=1
innodb-flush-log-at-trx-commit=1
innodb-log-file-size=16M
innodb-buffer-pool-size=64M
max-connections=200
CONF
    for line; do echo "$line"; done
  } >"$DIR/$node/my.cnf"
  as_owner rm -rf "$DIR/$node/data"
  as_owner mariadb-install-db --defaults-file="$DIR/$node/my.cnf" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >"$DIR/log/$node-install.log" 2>&1 || {
      # Its last words are only where to complain.
      grep -iE 'error|denied|cannot|fail' "$DIR/log/$node-install.log" | head -n 5 >&2 || true
      die "no data folder for $node"
    }
}

launch_server() { launch "$1" "$MARIADBD" --defaults-file="$DIR/$1/my.cnf" --init-file="$DIR/users.sql"; }

# `sql NODE STATEMENT…`: one value per row, tabs between columns.
sql() {
  local node=$1
  shift
  timeout 30 mariadb --defaults-file="$DIR/root.cnf" --connect-timeout=3 -P "$(port_of "$node")" -N -B -e "$*"
}

answers() { [[ $(sql "$1" "select 1" 2>/dev/null) == 1 ]]; }
takes_writes() { [[ $(sql "$1" "select @@global.read_only" 2>/dev/null) == 0 ]]; }

# `as_app STATEMENT`: as the application, at the clients' port.
as_app() {
  MYSQL_PWD=$(cat "$DIR/app.password") timeout 10 mariadb --no-defaults --connect-timeout=3 --protocol=tcp \
    -h 127.0.0.1 -P "$WRITE_PORT" -u app -N -B -e "$1"
}
serves_writes() {
  [[ $(as_app "select @@global.read_only" 2>/dev/null) == 0 ]]
}

# The application's database: books that must balance, and customers that nobody changes.
make_app_database() {
  sql "$1" "create database app character set utf8mb4;
    use app;
    create table entries (id bigint auto_increment primary key, account varchar(40) not null, amount bigint not null);
    insert into entries (account, amount) select concat('a', seq), if(seq % 2 = 0, 10, -10) from seq_1_to_1000;
    create table customers (id int primary key, name varchar(40) not null, note text not null);
    insert into customers select seq, concat('customer ', seq), repeat(md5(seq), 10) from seq_1_to_5000"
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

# `launch_haproxy NODE NODE`: the clients' port leads to the first; the second is disabled. No health checks: where this
# port leads is decided by people, as with a DNS entry.
launch_haproxy() {
  cat >"$DIR/haproxy.cfg" <<CFG
global
  maxconn 1000
  stats socket ipv4@127.0.0.1:$ADMIN_PORT level admin
defaults
  mode tcp
  retries 1
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout queue 1s

listen write
  bind 127.0.0.1:$WRITE_PORT
  server $1 127.0.0.1:$(port_of "$1")
  server $2 127.0.0.1:$(port_of "$2") disabled
CFG
  launch haproxy haproxy -db -f "$DIR/haproxy.cfg"
}

# Points the clients' port at NODE, and ends what is connected to AWAY.
fence() {
  haproxy_says "set server write/$1 state maint"
  haproxy_says "shutdown sessions server write/$1"
}
lead_to() { haproxy_says "set server write/$1 state ready"; }
