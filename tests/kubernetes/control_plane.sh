#!/usr/bin/env bash
# Builds the programs of a Kubernetes control plane that Debian has as source only: kube-apiserver, kube-scheduler and
# kube-controller-manager, from the source package `kubernetes` of bookworm, with bookworm's Go, into a cache outside of
# the project. Built already: nothing happens. From nothing it takes about three minutes of two cores. Prints the folder
# that holds them.
#
#   tests/kubernetes/control_plane.sh build     build what is missing
#   tests/kubernetes/control_plane.sh --check   build nothing; exit 1 if something is missing
#
# The cache is $BLACKSTART_TEST_CACHE, else /var/cache/blackstart-tests. Nothing is installed on this machine, and where
# its packages come from is not changed: the source is fetched with lists of our own. Needs what tests/install.sh installs
# (golang-1.19-go, dpkg-dev) and 4 GB of disk while it builds.
set -euo pipefail

cache=${BLACKSTART_TEST_CACHE:-/var/cache/blackstart-tests}
own=$(sha256sum "$0" | cut -c 1-12)
built=$cache/kubernetes-$own
go=/usr/lib/go-1.19/bin
PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler)

case ${1:-} in
build) ;;
--check) [[ -d $built ]] && echo "$built" && exit 0 || exit 1 ;;
*) echo "control_plane.sh: write \`build\` or \`--check\`" >&2 && exit 2 ;;
esac
mkdir -p "$cache"
# One at a time; whoever comes second finds it built.
exec 9>"$cache/kubernetes.lock"
flock 9
if [[ -d $built ]]; then
  echo "$built"
  exit 0
fi
making=$(mktemp -d "$cache/kubernetes-making.XXXXXX")
trap 'rm -rf "$making"' EXIT
log=$making/log

# The source, checked by apt against the keys of Debian's archive.
fetch() {
  mkdir -p "$making/apt/lists/partial" "$making/source"
  cat >"$making/apt/debian.sources" <<'SOURCES'
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  local apt=(apt-get -q -o "Dir::Etc::sourcelist=$making/apt/debian.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$making/apt/lists" -o "Dir::Cache=$making/apt" -o APT::Sandbox::User=root
    -o Acquire::Languages=none -o Acquire::Retries=3)
  "${apt[@]}" update
  (cd "$making/source" && "${apt[@]}" source --only-source kubernetes)
}

# The server describes its own objects by code that the source package leaves to be generated.
describe() {
  local inputs
  "$go/go" build -o "$making/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
  inputs=$(grep -rl --include='*.go' '^// *+k8s:openapi-gen=' pkg cmd plugin staging/src |
    grep -v -e /code-generator/ -e /sample-apiserver/ | xargs -n 1 dirname | LC_ALL=C sort -u |
    sed -e 's,^staging/src/,vendor/,' -e 's,^,k8s.io/kubernetes/,' | paste -sd ,)
  "$making/openapi-gen" --logtostderr -i "$inputs" -p k8s.io/kubernetes/pkg/generated/openapi \
    -O zz_generated.openapi -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$making/violations"
}

build() {
  local tree version name flags="-s -w" package
  tree=$(find "$making/source" -mindepth 1 -maxdepth 1 -type d)
  # 1.20.5+really1.20.2-1.1 is 1.20.2.
  version=$(sed -n '1s/.*really\([0-9.]*\)-.*/\1/p' "$tree/debian/changelog")
  export GOPATH=$making/go GOCACHE=$making/gocache GO111MODULE=off GOFLAGS='' CGO_ENABLED=0 GOTMPDIR=$making
  mkdir -p "$GOPATH/src/k8s.io" "$making/built"
  ln -s "$tree" "$GOPATH/src/k8s.io/kubernetes"
  cd "$GOPATH/src/k8s.io/kubernetes"
  describe
  package=k8s.io/kubernetes/vendor/k8s.io/component-base/version
  for name in gitVersion="v${version:?}" gitMajor="${version%%.*}" gitMinor="$(cut -d . -f 2 <<<"$version")"; do
    flags="$flags -X $package.$name"
  done
  for name in "${PROGRAMS[@]}"; do
    "$go/go" build -ldflags "$flags" -o "$making/built/" "k8s.io/kubernetes/cmd/$name"
  done
  "$making/built/kube-apiserver" --version | grep -q "v$version"
}

if ! (set -e; fetch; build) >"$log" 2>&1 9>&-; then
  echo "control_plane.sh: the control plane could not be built; the end of the log:" >&2
  tail -n 20 "$log" >&2
  exit 1
fi
# Those of earlier versions are of no use any more.
rm -rf "$cache"/kubernetes-????????????
chmod -R a+rX "$making/built"
mv "$making/built" "$built"
echo "$built"
