# What the scripts of this staging share: names and addresses. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=netns
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# A user that every Debian has, with a group of the same name.
RUN_AS=daemon

# NAME is at most 10 characters, so that an interface can be called NAME with a letter behind it.
set_names() {
  [[ $NAME =~ ^[a-z][a-z0-9]{0,9}$ ]] || die "\"$NAME\" is no name: at most 10 lower-case letters and digits"
  EDGE=$NAME-edge STORE=$NAME-store
}
set_ports() { set_names; }
exists() { [[ -e /run/netns/$1 ]]; }
answers() { curl -sf -o /dev/null --max-time 1 "http://$NET.6:8080/"; }
