#!/usr/bin/env bash
# Brings up a small service on a disk of its own (an ext4 image on a loop device, mounted in the staging's folder). A
# visit is written to the disk and synced before it is answered; when that fails the answer is 503. Needs root, for the
# mount; the service itself runs as the user daemon.
#
#   up.sh [--dir DIR] [--base-port PORT] [--io] [--reopen]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-disk)
# --base-port PORT  the service's port (default 15700, or $BLACKSTART_BASE_PORT)
# --io              a pass-through file system is mounted over the data before the service starts, so that a `disk_io`
#                   fault reaches a service that keeps its files open; the program that does it is the one that runs this
#                   script, or $BLACKSTART
# --reopen          the service opens its file anew for each visit
#
# Prints its fields as key=value lines once visits are written. If anything fails, it ends what it started and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(io reopen)
parse_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-15700}}
((EUID == 0)) || die "a disk of its own needs root"
need_tools mkfs.ext4 mount curl ss setpriv /usr/bin/python3
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
need_free_ports "$BASE"
make_staging
printf 'BASE=%q\n' "$BASE" >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

truncate -s 64M "$DIR/image"
mkfs.ext4 -q "$DIR/image"
mkdir -p "$DIR/disk"
mount -o loop "$DIR/image" "$DIR/disk"
mkdir "$DIR/disk/data"
echo '{"greeting": "hello", "items": [1, 2, 3, 4, 5, 6, 7, 8], "sum": 36}' >"$DIR/disk/data/settings.json"
chown -R "$RUN_AS" "$DIR/disk/data"
cp "$(dirname "$0")/service.py" "$DIR/service.py"
if [[ -n $IO ]]; then
  program=${BLACKSTART:-$(readlink "/proc/$PPID/exe")}
  [[ ${program##*/} == blackstart* ]] || die "which program is blackstart? Say so with BLACKSTART=/path/to/blackstart"
  # By root: it serves the service's user and keeps the owners of files.
  RUN_AS=root launch pass "$program" helper --owner staging slowfs "{\"directory\": \"$DIR/disk/data\", \"tag\": \"staging\"}"
  covered() { grep -q " $DIR/disk/data .* - fuse" /proc/self/mountinfo; }
  WATCH=pass within 10 "the data is covered" covered
fi
launch service /usr/bin/python3 -B "$DIR/service.py" "$BASE" "$DIR/disk/data" ${REOPEN:+reopen}
answers() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$BASE/" 2>/dev/null; }
WATCH=service within 20 "a visit is written" answers

up=yes
cat <<FIELDS
dir=$DIR
port=$BASE
disk=$DIR/disk
data=$DIR/disk/data
FIELDS
