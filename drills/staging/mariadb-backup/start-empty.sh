#!/usr/bin/env bash
# Makes an empty MariaDB server in the place for restores, with the application's user and an empty database, and starts
# it. Already running: nothing to do.
#
#   start-empty.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

if ! runs restored; then
  # Its log begins with what the dump makes; what is replayed after that has the numbers of the lost server.
  make_server restored "$(port_of restored)" 3 gtid-strict-mode=0
  launch_server restored
  WATCH=restored within 30 "the empty server answers" answers restored
  sql restored "create database app character set utf8mb4"
fi
echo "pid=$(pid_of restored)"
