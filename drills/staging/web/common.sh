# What the scripts of the web staging share. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
die() { echo "${0##*/}: $*" >&2; exit 1; }
[[ ${1:-} == --dir && -n ${2:-} ]] || die "--dir DIR is missing"
DIR=$2
shift 2

# The pid in a pidfile, if it is a web server of this staging.
live() {
  local pid
  pid=$(cat "$DIR/$1.pid" 2>/dev/null) && [[ -n $pid ]] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "web.py $DIR/$1.pid " && echo "$pid"
}

serves() { curl -skf -m 2 -o /dev/null "$1"; }

# Waits until a command succeeds, for 20 s.
until_it() {
  local n
  for ((n = 0; n < 200; n++)); do "$@" && return 0; sleep 0.1; done
  return 1
}

# libfaketime leaves these behind when its process is killed; the process must be over.
forget_clock() { rm -f "/dev/shm/faketime_shm_$1" "/dev/shm/sem.faketime_sem_$1"; }
