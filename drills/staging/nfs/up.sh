#!/usr/bin/env bash
# Brings up an NFS server in user space (nfs-ganesha, NFSv4.1 on loopback) with one export, and mounts it in user space too
# (mount.py: libnfs and FUSE), for a kernel that has neither. Where the kernel has a client, `mount -t nfs4 -o hard` does the same.
#
#   up.sh [--dir DIR] [--base-port PORT]
#
# --dir DIR         the folder of this staging (default: $BLACKSTART_STAGING_DIR, else /tmp/blackstart-nfs)
# --base-port PORT  the server's port (default 17050, or $BLACKSTART_BASE_PORT)
#
# Needs root, for mounts. The server gives clients no grace period after a restart (`Graceless`), which is 90 s by default:
# that shortens the drill. Prints its fields as key=value lines once files can be read. If anything fails, it says what,
# takes all away, and exits 1.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
place_options "$@"
BASE=${BASE:-${BLACKSTART_BASE_PORT:-17050}}
((EUID == 0)) || die "mounts need root"
need_tools ganesha.nfsd python3 umount ss setpriv timeout
/usr/bin/python3 -c 'import ctypes, fusepy; ctypes.CDLL("libnfs.so.13")' 2>/dev/null ||
  die "not installed: libnfs-utils, python3-fusepy (on Debian: tests/install.sh)"
[[ ! -f $MARKER ]] || "$(dirname "$0")/down.sh" --dir "$DIR"
need_free_ports "$BASE"
make_staging
printf 'BASE=%q\n' "$BASE" >"$DIR/settings"

up=
clean_up() {
  [[ -z $up ]] || return 0
  echo "up.sh: the staging did not come up; the end of its logs:" >&2
  tail -n 5 "$DIR"/log/*.log >&2 2>/dev/null || true
  "$(dirname "$0")/down.sh" --dir "$DIR" || true
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

mkdir -p "$DIR/export/data" "$DIR/recovery" "$DIR/service"
for ((n = 1; n <= STOCK; n++)); do echo "item $n" >"$DIR/export/data/item-$n"; done
cat >"$DIR/ganesha.conf" <<CONF
NFS_CORE_PARAM { Protocols = 4; NFS_Port = $BASE; Bind_addr = 127.0.0.1; Enable_NLM = false; Enable_RQUOTA = false; }
NFSv4 { Graceless = true; RecoveryRoot = $DIR/recovery; }
EXPORT {
  Export_Id = 1; Path = $DIR/export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash;
  Protocols = 4; Transports = TCP; SecType = sys;
  FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
CONF
launch_server
WATCH=nfsd within 30 "the server listens on port $BASE" listens
launch mount /usr/bin/python3 -B "$(readlink -f "$(dirname "$0")")/mount.py" \
  "nfs://127.0.0.1/export?version=4&nfsport=$BASE" "$DIR/service"
WATCH=mount within 20 "the export is mounted" mounted
within 20 "a file can be read" answers
up=yes
cat <<FIELDS
dir=$DIR
service=$DIR/service
data=$DIR/service/data
server=127.0.0.1:$BASE
FIELDS
