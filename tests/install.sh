#!/usr/bin/env bash
# Installs every server and tool that the tests need, from Debian's packages; and moto, an S3 server that Debian does not
# have, from PyPI into a folder of its own. Quick and silent when all is there.
#
#   tests/install.sh           install what is missing
#   tests/install.sh --check   install nothing; list what is missing and exit 1 if there is any
#
# Nothing is started: stagings start their own processes on loopback, in a directory of their own. While packages are
# being installed, a policy-rc.d refuses every service start that a package asks for, and the distribution's own
# PostgreSQL cluster is not created.
set -euo pipefail

# package:file that proves it is there
WANTED=(
  postgresql-15:/usr/lib/postgresql/15/bin/postgres
  postgresql-client-15:/usr/lib/postgresql/15/bin/psql
  patroni:/usr/bin/patroni
  python3-minimal:/usr/bin/python3
  python3-etcd:/usr/lib/python3/dist-packages/etcd/__init__.py
  python3-psycopg2:/usr/lib/python3/dist-packages/psycopg2/__init__.py
  etcd-server:/usr/bin/etcd
  etcd-client:/usr/bin/etcdctl
  haproxy:/usr/sbin/haproxy
  openssl:/usr/bin/openssl
  curl:/usr/bin/curl
  jq:/usr/bin/jq
  procps:/usr/bin/ps
  iproute2:/usr/bin/ss
  bind9-dnsutils:/usr/bin/dig
  nftables:/usr/sbin/nft
  binutils:/usr/bin/strip
  gcc:/usr/bin/cc
  mmdebstrap:/usr/bin/mmdebstrap
  qemu-system-x86:/usr/bin/qemu-system-x86_64
  util-linux:/usr/bin/setpriv
  bsdutils:/usr/bin/renice
  libfaketime:/usr/share/doc/libfaketime
  docker.io:/usr/sbin/dockerd
  busybox-static:/usr/bin/busybox
  mount:/usr/bin/mount
  fuse3:/usr/bin/fusermount3
  e2fsprogs:/usr/sbin/mkfs.ext4
  btrfs-progs:/usr/sbin/mkfs.btrfs
  mariadb-server:/usr/sbin/mariadbd
  python3.11-venv:/usr/lib/python3.11/ensurepip/__init__.py
)

missing=()
for entry in "${WANTED[@]}"; do
  [[ -e ${entry#*:} ]] || missing+=("${entry%%:*}")
done

# Where tests find moto, and the packages it is made of; the list is put beside it when all are in.
moto=/var/cache/blackstart-tests/moto
moto_list=$(dirname "$0")/moto.txt
moto_is_there() { [[ -x $moto/bin/moto_server ]] && cmp -s "$moto_list" "$moto/installed.txt"; }
lacking=("${missing[@]}")
moto_is_there || lacking+=("moto (PyPI)")

((${#lacking[@]} == 0)) && exit 0
if [[ ${1:-} == --check ]]; then
  echo "missing packages: ${lacking[*]} (tests/install.sh installs them)" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "tests/install.sh: missing packages: ${lacking[*]}; run it as root once: sudo tests/install.sh" >&2
  exit 1
fi
log=$(mktemp /tmp/blackstart-install.XXXXXX)
if ((${#missing[@]} > 0)); then
  if ! command -v apt-get >/dev/null; then
    echo "tests/install.sh: only Debian and its derivatives are supported here; install by hand: ${missing[*]}" >&2
    exit 1
  fi

  policy=/usr/sbin/policy-rc.d
  kept=
  restore() {
    if [[ -n $kept ]]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
    rm -f /etc/postgresql-common/createcluster.d/blackstart.conf
  }
  trap restore EXIT
  [[ -e $policy ]] && kept=$(mktemp "$policy.XXXXXX") && cp -p "$policy" "$kept"
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/blackstart.conf

  install_them() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
      "${missing[@]}" >>"$log" 2>&1
  }
  # The package lists may be old or empty on a fresh machine: one update, only when it is needed.
  if ! install_them; then
    apt-get -o DPkg::Lock::Timeout=300 update -qq >>"$log" 2>&1 || true
    if ! install_them; then
      echo "tests/install.sh: apt-get could not install ${missing[*]}; the end of $log:" >&2
      tail -n 15 "$log" >&2
      exit 1
    fi
  fi
  # Where systemd runs, a package may have asked to be started at the next boot.
  if [[ -d /run/systemd/system ]]; then
    for service in patroni etcd haproxy; do
      [[ " ${missing[*]} " == *" $service"* ]] && systemctl disable --quiet --now "$service" 2>/dev/null || true
    done
  fi
fi
if ! moto_is_there; then
  rm -rf "$moto"
  mkdir -p "${moto%/*}"
  if ! { python3 -m venv "$moto" && "$moto/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir \
    --no-compile --no-deps --only-binary :all: --retries 5 -r "$moto_list"; } >>"$log" 2>&1; then
    echo "tests/install.sh: moto could not be installed from PyPI; the end of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
  fi
  cp "$moto_list" "$moto/installed.txt"
fi
rm -f "$log"
echo "installed: ${lacking[*]}"
