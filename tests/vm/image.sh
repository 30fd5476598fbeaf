#!/usr/bin/env bash
# Makes the root disk of the small virtual machine that the reboot test starts: Debian of this machine's own release with
# systemd, from packages, in a cache outside of the project. Prints the folder that holds vmlinuz, initrd.img and root.img.
# Made already: nothing happens. From nothing it takes about a minute.
#
#   tests/vm/image.sh            make it if it is not there
#   tests/vm/image.sh --check    make nothing; exit 1 if it is not there
#
# The cache is $BLACKSTART_TEST_CACHE, else /var/cache/blackstart-tests. Nothing is installed on this machine. Needs root
# (a root file system has files of many users) and the packages that tests/install.sh installs.
set -euo pipefail
# What is printed is the folder and nothing else, whatever the tools that make it say.
exec 3>&1 >&2

here=$(cd "$(dirname "$0")" && pwd)
cache=${BLACKSTART_TEST_CACHE:-/var/cache/blackstart-tests}
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
version=$(cat "$0" "$here"/guest/* | sha256sum | cut -c 1-12)
image=$cache/vm-$release-$version
PACKAGES=systemd-sysv,udev,kmod,iproute2,nftables,e2fsprogs,linux-image-cloud-amd64

if [[ ${1:-} == --check ]]; then
  [[ -d $image ]]
  exit
fi
mkdir -p "$cache"
# One at a time; whoever comes second finds it made.
exec 9>"$cache/vm.lock"
flock 9
if [[ ! -d $image ]]; then
  ((EUID == 0)) || { echo "image.sh: making the image needs root" >&2; exit 1; }
  making=$(mktemp -d "$cache/vm-making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  root=$making/root
  mmdebstrap --quiet --mode=root --variant=minbase --include="$PACKAGES" --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$release" "$root" >"$making/log" 2>&1 3>&- 9>&- ||
    { tail -n 20 "$making/log" >&2; exit 1; }

  echo reboot-test >"$root/etc/hostname"
  mkdir -p "$root/media/test" "$root/srv"
  cp "$here/guest/fstab" "$root/etc/fstab"
  cp "$here"/guest/*.service "$root/etc/systemd/system/"
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -s /etc/systemd/system/reboot-test.service "$root/etc/systemd/system/multi-user.target.wants/"
  # Nobody logs in, and the console is for the kernel's words.
  for unit in getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done

  cp "$root"/boot/vmlinuz-* "$making/vmlinuz"
  cp "$root"/boot/initrd.img-* "$making/initrd.img"
  rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  mke2fs -q -t ext4 -L root -d "$root" "$making/root.img" 1G
  rm -rf "$root"
  # Those of earlier versions are of no use any more.
  rm -rf "$cache/vm-$release"-*
  mv "$making" "$image"
  trap - EXIT
fi
echo "$image" >&3
