#!/usr/bin/env bash
# Installs every server and tool that the tests need from Debian's packages; and what Debian does not have into folders of
# their own: from PyPI an S3 server and clients, from npm a server that speaks CouchDB's protocol and a checker of pages;
# from the source of a Debian package the control plane of Kubernetes; and the disk of a small virtual machine. Quick and
# silent when all is there.
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
  openssh-client:/usr/bin/ssh-keygen
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
  nfs-ganesha:/usr/bin/ganesha.nfsd
  nfs-ganesha-vfs:/usr/share/doc/nfs-ganesha-vfs
  libnfs-utils:/usr/bin/nfs-ls
  python3-fusepy:/usr/lib/python3/dist-packages/fusepy.py
  mariadb-server:/usr/sbin/mariadbd
  python3.11-venv:/usr/lib/python3.11/ensurepip/__init__.py
  pgbackrest:/usr/bin/pgbackrest
  redis-server:/usr/bin/redis-server
  redis-sentinel:/usr/bin/redis-sentinel
  redis-tools:/usr/bin/redis-cli
  python3-pika:/usr/lib/python3/dist-packages/pika/__init__.py
  rabbitmq-server:/usr/lib/rabbitmq/bin/rabbitmq-server
  pgbouncer:/usr/sbin/pgbouncer
  prometheus:/usr/bin/prometheus
  nodejs:/usr/bin/node
  npm:/usr/bin/npm
  chromium:/usr/bin/chromium
  golang-1.19-go:/usr/lib/go-1.19/bin/go
  dpkg-dev:/usr/bin/dpkg-source
)

# Any kubectl will do, and that of another vendor cannot be there beside Debian's.
command -v kubectl >/dev/null || WANTED+=(kubernetes-client:/usr/bin/kubectl)

missing=()
for entry in "${WANTED[@]}"; do
  [[ -e ${entry#*:} ]] || missing+=("${entry%%:*}")
done

# What Debian does not have is in folders of its own. The list of its packages is put beside it when all of them are in.
own=/var/cache/blackstart-tests
lists=$(dirname "$0")
# From PyPI: moto, an S3 server; the vendors' own clients of MongoDB and Elasticsearch; readers of OpenMetrics and OTLP.
# And validate: the schemas of current Kubernetes API servers.
pypi=(moto pymongo elasticsearch formats validate)
pypi_has() { [[ -x $own/$1/bin/python3 ]] && cmp -s "$lists/$1.txt" "$own/$1/installed.txt"; }
# From npm: PouchDB Server. Its packages' own scripts are not run: what they would build, this server does not need.
pouchdb=$own/pouchdb
pouchdb_list=$lists/pouchdb
pouchdb_is_there() {
  [[ -e $pouchdb/node_modules/.bin/pouchdb-server ]] && cmp -s "$pouchdb_list/package-lock.json" "$pouchdb/installed.json"
}
# From npm: axe-core, which looks at pages in a browser.
axe=$own/axe
axe_list=$lists/axe
axe_is_there() { [[ -e $axe/node_modules/axe-core/axe.min.js ]] && cmp -s "$axe_list/package-lock.json" "$axe/installed.json"; }
lacking=("${missing[@]}")
for name in "${pypi[@]}"; do pypi_has "$name" || lacking+=("$name (PyPI)"); done
pouchdb_is_there || lacking+=("pouchdb-server (npm)")
axe_is_there || lacking+=("axe-core (npm)")
# From Debian's source: the control plane of Kubernetes, about three minutes on two cores.
control_plane=$lists/kubernetes/control_plane.sh
"$control_plane" --check >/dev/null || lacking+=("a Kubernetes control plane (from source)")
# From Debian's packages: the disk of the machine that is reset in the middle of a drill, about a minute.
machine=$lists/vm/image.sh
"$machine" --check || lacking+=("the disk of a virtual machine")

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
    for service in patroni etcd haproxy redis-server redis-sentinel rabbitmq-server epmd nfs-ganesha; do
      [[ " ${missing[*]} " == *" $service"* ]] && systemctl disable --quiet --now "$service" 2>/dev/null || true
    done
  fi
fi
# Debian's own Python: servers run as another user, who cannot reach one in somebody's home.
from_pypi() {
  rm -rf "${own:?}/$1"
  mkdir -p "$own"
  /usr/bin/python3 -m venv "$own/$1" && "$own/$1/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir \
    --no-compile --no-deps --only-binary :all: --retries 5 -r "$lists/$1.txt" && cp "$lists/$1.txt" "$own/$1/installed.txt"
}
for name in "${pypi[@]}"; do
  pypi_has "$name" && continue
  if ! from_pypi "$name" >>"$log" 2>&1; then
    echo "tests/install.sh: $name could not be installed from PyPI; the end of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
  fi
done
if ! pouchdb_is_there; then
  rm -rf "$pouchdb"
  mkdir -p "$pouchdb"
  cp "$pouchdb_list"/package.json "$pouchdb_list"/package-lock.json "$pouchdb"
  if ! (cd "$pouchdb" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --no-update-notifier) >>"$log" 2>&1; then
    echo "tests/install.sh: pouchdb-server could not be installed from npm; the end of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
  fi
  # Others read it too.
  chmod -R a+rX "$pouchdb"
  cp "$pouchdb/package-lock.json" "$pouchdb/installed.json"
fi
if ! axe_is_there; then
  rm -rf "$axe"
  mkdir -p "$axe"
  cp "$axe_list"/package.json "$axe_list"/package-lock.json "$axe"
  if ! (cd "$axe" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) >>"$log" 2>&1; then
    echo "tests/install.sh: axe-core could not be installed from npm; the end of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
  fi
  chmod -R a+rX "$axe"
  cp "$axe/package-lock.json" "$axe/installed.json"
fi
"$control_plane" build >/dev/null
"$machine" >/dev/null
rm -f "$log"
echo "installed: ${lacking[*]}"
