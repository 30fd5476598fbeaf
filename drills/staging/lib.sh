# Shared by the stagings in this folder; sourced, never run. What lives here: options, the folder of a staging, starting
# and ending processes so that no other process can be hit by mistake, and waiting on conditions with a deadline.
# What does not: anything about one system.
#
# A staging is one folder. In it: a marker file, the settings it was brought up with, one file per process under pids/
# ("pid start-time", because pids are reused), logs, data, and the generated passwords (mode 0600).
# shellcheck shell=bash

set -euo pipefail

die() { echo "${0##*/}: $*" >&2; exit 1; }

# Condition with a deadline: `within SECONDS WHAT command…` tries until it succeeds, else says what did not happen.
# With WATCH=NAME it does not wait for what can no longer happen because that process has ended.
within() {
  local limit=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    [[ -z ${WATCH:-} ]] || runs "$WATCH" || { echo "${0##*/}: $WATCH ended while waiting for: $what" >&2; return 1; }
    ((SECONDS < end)) || { echo "${0##*/}: not within ${limit} s: $what" >&2; return 1; }
    sleep 0.1
  done
}

# --- the folder -------------------------------------------------------------------------------------------------------

# Reads --dir, --base-port and the flags named in FLAGS ("sync", …); what is left is in ARGS. Options that are not given
# come from the folder's own settings, so that only up.sh needs them.
parse_options() {
  DIR= BASE= ARGS=()
  local flag
  for flag in "${FLAGS[@]:-}"; do [[ -z $flag ]] || set_flag "$flag" ''; done
  while (($#)); do
    case $1 in
      --dir) DIR=${2:?--dir needs a path}; shift 2 ;;
      --base-port) BASE=${2:?--base-port needs a number}; shift 2 ;;
      -h | --help) sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
      --*)
        flag=${1#--}
        [[ " ${FLAGS[*]:-} " == *" $flag "* ]] || die "unknown option $1"
        set_flag "$flag" yes
        shift
        ;;
      *) ARGS+=("$1"); shift ;;
    esac
  done
  DIR=${DIR:-${BLACKSTART_STAGING_DIR:-/tmp/blackstart-$STAGING}}
  [[ $DIR == /* ]] || DIR=$PWD/$DIR
  MARKER=$DIR/.blackstart-staging
}

# --no-wait becomes NO_WAIT.
set_flag() {
  local name=${1^^}
  printf -v "${name//-/_}" '%s' "$2"
}

# For every command but up: the staging must be there; its settings are read.
load_staging() {
  [[ -f $MARKER ]] || die "no staging in $DIR (bring it up first, or name another with --dir)"
  # shellcheck disable=SC1091
  source "$DIR/settings"
  set_ports
}

# For up: makes the folder, and refuses a folder that is somebody else's.
make_staging() {
  if [[ -e $DIR && ! -f $MARKER ]]; then
    # An empty folder may have been made for us; anything else is not ours to write into or to remove.
    [[ -d $DIR && -z $(ls -A "$DIR") ]] || die "$DIR exists and is not a staging; name another with --dir"
  fi
  mkdir -p "$DIR/pids" "$DIR/log"
  echo "$STAGING" >"$MARKER"
  chmod 755 "$DIR" "$DIR/pids"
  # The servers' user writes here too.
  if ((EUID == 0)); then
    chown "$RUN_AS" "$DIR" "$DIR/log"
    as_owner test -w "$DIR" || {
      rm -rf "$DIR"
      die "user $RUN_AS cannot reach $DIR (PostgreSQL refuses to run as root); name a folder it can with --dir"
    }
  fi
}

# Commands run as this user: PostgreSQL refuses root. Without root, everything runs as whoever started it.
RUN_AS=postgres
as_owner() {
  if ((EUID == 0)); then
    (cd / && exec setpriv --reuid="$RUN_AS" --regid="$RUN_AS" --init-groups -- "$@")
  else
    "$@"
  fi
}

# A random password in a file that only its owner reads.
make_password() {
  (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'xy' >"$1")
  ((EUID != 0)) || chown "$RUN_AS" "$1"
}

need_tools() {
  local tool missing=()
  for tool; do command -v "$tool" >/dev/null || [[ -x $tool ]] || missing+=("$tool"); done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]} (on Debian: tests/install.sh)"
}

# --- ports ------------------------------------------------------------------------------------------------------------

# Fails when somebody listens on one of the ports, and says who.
need_free_ports() {
  local port who
  for port; do
    who=$(ss -Hltnp "sport = :$port" 2>/dev/null) || true
    [[ -z $who ]] || die "port $port is in use by $(listener_of "$who") (choose others with --base-port)"
  done
}

# "haproxy (pid 123)" from a line of ss; without root, other users' processes have no name there.
listener_of() {
  if [[ $1 =~ \(\(\"([^\"]+)\",pid=([0-9]+) ]]; then
    echo "${BASH_REMATCH[1]} (pid ${BASH_REMATCH[2]})"
  else
    echo "a process of another user"
  fi
}

# --- processes --------------------------------------------------------------------------------------------------------

# Start time in clock ticks since boot; empty when there is no such process (a zombie counts as gone).
started_at() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  # After the name, which may hold anything: state is field 3, start time field 22.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} == [ZX] ]] || echo "${fields[19]}"
}

# `launch NAME command…`: starts it detached, as the servers' user, and records who it is.
launch() {
  local name=$1 pid
  shift
  if ((EUID == 0)); then
    set -- setpriv --reuid="$RUN_AS" --regid="$RUN_AS" --init-groups -- "$@"
  fi
  (cd / && exec setsid "$@") </dev/null >>"$DIR/log/$name.log" 2>&1 &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$DIR/pids/$name"
}

# The recorded process is alive and still the same one.
runs() {
  local pid start
  [[ -f $DIR/pids/$1 ]] || return 1
  read -r pid start <"$DIR/pids/$1" || return 1
  same "$pid" "$start"
}

same() { [[ -n ${2:-} && $(started_at "$1") == "$2" ]]; }

pid_of() { cut -d' ' -f1 "$DIR/pids/$1"; }

# Ends processes given as "pid start-time" lines on stdin: SIGTERM (or $1), then SIGKILL after 5 s, until all are gone.
end_processes() {
  local signal=${1:-TERM} pid start left=() end=$((SECONDS + 5))
  while read -r pid start; do
    same "$pid" "$start" || continue
    kill -s "$signal" "$pid" 2>/dev/null || true
    left+=("$pid $start")
  done
  while ((${#left[@]})); do
    local still=()
    for entry in "${left[@]}"; do
      read -r pid start <<<"$entry"
      same "$pid" "$start" || continue
      ((SECONDS < end)) || kill -s KILL "$pid" 2>/dev/null || true
      still+=("$entry")
    done
    left=("${still[@]}")
    ((SECONDS < end + 10)) || die "still running after SIGKILL: ${left[*]}"
    ((${#left[@]} == 0)) || sleep 0.05
  done
}

# Every process below a pid, itself included, as "pid start-time" lines.
tree_of() {
  local child children=
  echo "$1 $(started_at "$1")"
  { read -r children <"/proc/$1/task/$1/children"; } 2>/dev/null || true
  for child in $children; do tree_of "$child"; done
}

# Ends everything that is recorded, and all below it.
end_recorded() {
  local file pid start
  for file in "$DIR"/pids/*; do
    [[ -f $file ]] || continue
    read -r pid start <"$file" || continue
    if same "$pid" "$start"; then tree_of "$pid"; fi
  done | end_processes TERM
}

# --- PostgreSQL -------------------------------------------------------------------------------------------------------

# The programs of the newest PostgreSQL on this machine.
find_postgres() {
  PGBIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  [[ -n $PGBIN ]] || { local p; p=$(command -v postgres) && PGBIN=${p%/*}; } || true
  [[ -x ${PGBIN:-}/postgres ]] || die "not installed: PostgreSQL (on Debian: tests/install.sh)"
}

# The postmaster of a data folder as "pid start-time"; nothing when none runs there.
postmaster_of() {
  local pid
  { read -r pid <"$1/postmaster.pid"; } 2>/dev/null || return 0
  # The pid file survives a SIGKILL and the pid may be somebody else's by now: the command line decides.
  if [[ $pid =~ ^[0-9]+$ ]] && { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -- "$1"; then
    echo "$pid $(started_at "$pid")"
  fi
}

# Ends the postmaster of a data folder and its children (immediate shutdown: the staging is thrown away).
end_postmaster() {
  local pid start
  read -r pid start < <(postmaster_of "$1") || return 0
  tree_of "$pid" | end_processes QUIT
}

# Ends what a killed postmaster left behind: its children live until they notice, and one that is frozen never does. They
# hold the data folder, so nothing can start on it. They are known by their working folder, which is the data folder.
# The pid file goes too: a postmaster that is dead but not yet reaped by its parent looks alive to PostgreSQL.
end_orphans() {
  local data link pid
  data=$(readlink -f "$1") || return 0
  [[ -z $(postmaster_of "$1") ]] || return 0
  { find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$data" 2>/dev/null || true; } | while read -r link; do
    pid=${link#/proc/} pid=${pid%/cwd}
    echo "$pid $(started_at "$pid")"
  done | end_processes KILL
  rm -f "$1/postmaster.pid"
}

# `sql PORT USER DB STATEMENT…`: one value per row on stdout; the passwords come from the staging's passfile.
sql() {
  local port=$1 user=$2 db=$3
  shift 3
  local args=()
  for statement; do args+=(-c "$statement"); done
  PGPASSFILE=$DIR/pgpass PGCONNECT_TIMEOUT=6 PGOPTIONS='-c client_min_messages=warning' \
    "$PGBIN/psql" -h 127.0.0.1 -p "$port" -U "$user" -d "$db" -XqAt -v ON_ERROR_STOP=1 "${args[@]}"
}

# Passwords of the three users, and a passfile with them for psql, replication and pg_rewind.
make_pg_passwords() {
  local user
  : >"$DIR/pgpass.new"
  chmod 600 "$DIR/pgpass.new"
  for user in postgres replicator app; do
    make_password "$DIR/$user.password"
    echo "127.0.0.1:*:*:$user:$(cat "$DIR/$user.password")" >>"$DIR/pgpass.new"
  done
  ((EUID != 0)) || chown "$RUN_AS" "$DIR/pgpass.new"
  mv "$DIR/pgpass.new" "$DIR/pgpass"
}

# The application's user, its database, and the books that the page keeps (two rows a visit that must balance).
# The password goes in on stdin, so that it is in no process list.
make_app_database() {
  local port=$1
  PGPASSFILE=$DIR/pgpass "$PGBIN/psql" -h 127.0.0.1 -p "$port" -U postgres -d postgres -Xq -v ON_ERROR_STOP=1 \
    >/dev/null <<SQL
create role app login password '$(cat "$DIR/app.password")';
create database app owner app;
-- Without it the columns of pg_stat_replication are empty for this user.
grant pg_monitor to app;
SQL
  sql "$port" app app "create table entries (id bigserial primary key, visit bigint not null, account text not null,
    amount bigint not null, at timestamptz not null default now())" "create sequence visits"
}
