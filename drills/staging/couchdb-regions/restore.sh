#!/usr/bin/env bash
# Writes the newest whole dump into the empty database of a region that no client is sent to, and says which it was and how
# many documents it had. A database that is not empty is refused.
#
#   restore.sh [--dir DIR] REGION

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
region=${ARGS[0]:?restore.sh needs the name of a region: ${REGIONS[*]}}
is_region "$region"
[[ $(active) != "$region" ]] || die "clients are sent to region $region; restore into one that they cannot reach"
file=$(newest) || die "there is no dump that is whole"
as_owner /usr/bin/python3 "$HERE/dump.py" restore "http://127.0.0.1:$(port_of "$region")/$DATABASE" "$DIR/netrc" \
  "$DIR/dumps/$file"
echo "dump=$file"
