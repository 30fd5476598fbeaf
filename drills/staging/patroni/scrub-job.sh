#!/usr/bin/env bash
# The job that looks at every page (scrub.sh), again and again, as a timer would start it every night.
#
#   scrub-job.sh [--dir DIR] start SECONDS    starts it, with so many seconds between two passes; not if it runs already
#   scrub-job.sh [--dir DIR] said             prints what its last pass found: nothing, if none has ended yet
#   scrub-job.sh [--dir DIR] stop             ends it

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging

said=$DIR/log/scrub-job.said
case ${ARGS[0]:-} in
  start)
    ! runs scrub-job || exit 0
    rm -f "$said"
    # The last word stays until the next pass has ended.
    launch scrub-job bash -c 'while sleep "$1"; do "$2" --dir "$3" >"$4.new" && mv "$4.new" "$4"; done' scrub-job \
      "${ARGS[1]:?scrub-job.sh start needs a number of seconds}" "$(readlink -f "$(dirname "$0")")/scrub.sh" "$DIR" "$said"
    ;;
  said) cat "$said" 2>/dev/null || true ;;
  stop) ! runs scrub-job || tree_of "$(pid_of scrub-job)" | end_processes TERM ;;
  *) die "scrub-job.sh needs start, said or stop" ;;
esac
