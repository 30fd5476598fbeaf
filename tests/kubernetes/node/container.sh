#!/bin/sh
# Becomes a container's command, as the first process of namespaces of its own (`unshare --mount --pid --uts` has made them):
# mounts what it is to see, makes the tree its root, and gives it its user.
#
#   container.sh ROOT HOSTNAME FOLDER USER GROUP [SOURCE TARGET ro|rw]… -- COMMAND…
#
# USER and GROUP are numbers, or empty for root.
set -eu
root=$1 host=$2 folder=$3 user=$4 group=$5
shift 5
echo "$host" >/proc/sys/kernel/hostname
/usr/bin/mount --rbind / "$root/.host"
/usr/bin/mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
  /usr/bin/mount --rbind "$1" "$root/$2"
  [ "$3" = rw ] || /usr/bin/mount -o remount,bind,ro "$root/$2"
  shift 3
done
shift
if [ -n "$user$group" ]; then
  # Whoever becomes somebody else is no longer killed with its parent, unless it asks for that again.
  set -- /usr/bin/setpriv --reuid "${user:-0}" --regid "${group:-0}" --clear-groups --pdeathsig KILL "$@"
fi
exec /usr/sbin/chroot "$root" /usr/bin/env -C "$folder" "$@"
