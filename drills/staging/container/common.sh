# What the scripts of the container staging share. Sourced, never run.
# shellcheck shell=bash disable=SC2034
STAGING=container
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# The engine needs root, and the relay enters its network namespace.
RUN_AS=root
set_ports() { :; }
# A socket's path has at most 107 characters.
SOCKET() { echo "$DIR/engine.sock"; }
engine() { docker -H "unix://$(SOCKET)" "$@"; }
