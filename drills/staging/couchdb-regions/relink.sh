#!/usr/bin/env bash
# Puts another link in the place of the one that leads out of a region; a replication goes on over it. For tests: `drop N`
# makes it one that takes documents out on their way.
#
#   relink.sh [--dir DIR] REGION [drop N]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
region=${ARGS[0]:?relink.sh needs the name of a region: ${REGIONS[*]}}
is_region "$region"
name=link-$region-$(other "$region")
cat "$DIR/pids/$name" | end_processes KILL
launch_link "$region" "${ARGS[@]:1}"
listens() { [[ -n $(ss -Hltn "sport = :$(link_port "$region")") ]]; }
WATCH=$name within 10 "the link is there" listens
replicate "$region"
