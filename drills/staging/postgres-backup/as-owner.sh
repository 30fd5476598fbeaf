#!/usr/bin/env bash
# Runs a command as the servers' user: that one owns the data folders and the repository. PostgreSQL refuses root.
#
#   as-owner.sh COMMAND…

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
(($# > 0)) || die "as-owner.sh needs a command"
as_owner "$@"
