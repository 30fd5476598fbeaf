# What the scripts of the NFS export share. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=nfs
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# Mounts, and a server that opens files by their handles, are root's business.
RUN_AS=root
# Files of the application besides the drill's ledger, made when the staging comes up.
STOCK=50
set_ports() { :; }

# As the system's own tables of mounts and devices name it: without links.
place_options() {
  parse_options "$@"
  DIR=$(readlink -m "$DIR")
  MARKER=$DIR/.blackstart-staging
}

mounted() { grep -q " $DIR/service " /proc/self/mountinfo; }
has_stock() { [[ $(cat "$1/data/item-$STOCK" 2>/dev/null) == "item $STOCK" ]]; }
# By a process of its own that can be given up: on a mount whose server is gone it waits for ever.
answers() { timeout -s KILL 2 cat "$DIR/service/data/item-1" >/dev/null 2>&1; }
listens() { [[ -n $(ss -Hltn "sport = :$BASE") ]]; }
launch_server() { launch nfsd ganesha.nfsd -F -f "$DIR/ganesha.conf" -L "$DIR/log/ganesha.log" -p "$DIR/ganesha.pid"; }

# What is mounted goes, and with it everything that waits for it.
unmount() {
  local tries=0
  while mounted; do
    umount -l "$DIR/service"
    ((++tries < 10)) || die "$DIR/service does not unmount"
  done
}
