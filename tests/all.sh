#!/usr/bin/env bash
# Installs what the tests need and passes them all. Run it as root on Debian; needs Rust.
#
#   tests/all.sh           all tests
#   tests/all.sh --soak    the same, with the long variants of those that have one
#
# Every test file belongs to exactly one part; a new one that no pattern names is run with the unit tests. Each part
# prints its time against its budget; the last line is `N passed, N failed`. Tests that passed only when they were tried once
# more (.config/nextest.toml says which may) are named.
set -uo pipefail
cd "$(dirname "$0")/.."

soak=
for argument in "$@"; do
  case $argument in
    --soak) soak=1 ;;
    *) echo "usage: tests/all.sh [--soak]" >&2; exit 64 ;;
  esac
done
[[ -n $soak ]] && export BLACKSTART_SOAK=1
# Runs of the tests remember open faults in a place of their own.
state=$(mktemp -d /var/tmp/blackstart-tests.XXXXXX)
export BLACKSTART_STATE_DIR=$state
logs=$(mktemp -d /tmp/blackstart-tests.XXXXXX)
trap 'rm -rf "$state"' EXIT

passed=0 failed=0 over=0 again=0

# Which part a test file belongs to.
part_of() {
  case $1 in
    truth*) echo truth ;;
    crash*) echo crash ;;
    cli | exec | faults*) echo faults ;;
    evidence | history | reports) echo evidence ;;
    composite* | couchdb* | drills* | elasticsearch* | etcd* | files* | mongodb* | mysql* | postgres* | rabbitmq* | redis* | s3*)
      echo data ;;
    kube*) echo kubernetes ;;
    vm) echo reboot ;;
    *) echo unit ;;
  esac
}

tests_of() {
  local file name
  for file in tests/*.rs tests/*/main.rs; do
    [[ -e $file ]] || continue
    name=${file#tests/} name=${name%/main.rs} name=${name%.rs}
    [[ $(part_of "$name") == "$1" ]] && printf ' --test %s' "$name"
  done
}

# Adds what a log says to the sums. nextest has one summary line, cargo test one line per binary.
count() {
  local p f
  p=$(sed -nE 's/.*(Summary.* |test result: .* )([0-9]+) passed.*/\2/p' "$1" | awk '{n += $1} END {print n + 0}')
  f=$(grep -E '^ *Summary|^test result:' "$1" | grep -oE '[0-9]+ (failed|timed out)' | awk '{n += $1} END {print n + 0}')
  passed=$((passed + p)) failed=$((failed + f))
  counted=$((p + f))
}

# part TITLE BUDGET-MINUTES COMMAND…
part() {
  begin "$@"
  finish "$1" "$2"
}

# begin TITLE BUDGET-MINUTES COMMAND…: it goes on beside what comes, until it is finished.
begin() {
  local log=$logs/${1// /-}.log
  shift 2
  {
    local start=$SECONDS
    "$@" >"$log" 2>&1 </dev/null
    echo "$? $((SECONDS - start))" >"$log.status"
  } &
  echo $! >"$log.pid"
}

# finish TITLE BUDGET-MINUTES
finish() {
  local title=$1 log=$logs/${1// /-}.log status=1 took=0
  echo "── $title"
  wait "$(cat "$log.pid")"
  read -r status took <"$log.status"
  counted=0
  count "$log"
  if ((status != 0)); then
    tail -n 80 "$log"
    echo "   the whole log: $log"
    # A part that fails without a failed test (it does not compile, say) is one failure.
    grep -qE '[1-9][0-9]* (failed|timed out)' "$log" || failed=$((failed + 1))
  fi
  once_more "$log"
  report "$title" "$took" "$2" "$counted tests" "$status"
}

# Names the tests that passed only when they were tried once more.
once_more() {
  local names
  names=$(sed -nE '/^ *Summary/,$s/^ *FLAKY [0-9/]+ \[[^]]*\] (\([^)]*\) )?//p' "$1")
  [[ -n $names ]] || return 0
  sed 's/^/   passed when tried once more: /' <<<"$names"
  again=$((again + $(wc -l <<<"$names")))
}

# report TITLE SECONDS BUDGET-MINUTES WHAT STATUS
report() {
  local mark=ok
  (($5 == 0)) || mark=FAILED
  if [[ -z $soak ]] && (($2 > $3 * 60)); then
    mark="OVER BUDGET"
    over=$((over + 1))
  fi
  printf '   %-24s %4d s of %4d s  %s  %s\n' "$1" "$2" "$(($3 * 60))" "$4" "$mark"
}

run_tests() {
  local how=$1
  shift
  if command -v cargo-nextest >/dev/null; then
    # Which tests of these run side by side, .config/nextest.toml says.
    cargo nextest run --locked --all-features --no-tests=pass ${SIDE_BY_SIDE:+--test-threads "$SIDE_BY_SIDE"} "$@"
  elif [[ $how == serial ]]; then
    cargo test --locked --all-features --no-fail-fast "$@" -- --test-threads=1
  else
    cargo test --locked --all-features --no-fail-fast "$@"
  fi
}

unit() {
  # shellcheck disable=SC2046 # words on purpose
  run_tests parallel --lib --bins $(tests_of unit) && cargo test --locked --all-features --doc
}

# serial PART: its tests one after another; nothing to do is said, not failed.
serial() {
  local names
  names=$(tests_of "$1")
  [[ -n $names ]] || { echo "no tests yet"; return 0; }
  # shellcheck disable=SC2086 # words on purpose
  run_tests serial $names
}

# Those that kill the runner at every moment judge by what is left; they give way to the drills beside them, which judge by
# what their clients saw.
giving_way() {
  renice -n 10 -p $BASHPID >/dev/null
  "$@"
}

part "install" 5 tests/install.sh
part "features" 6 tests/features.sh
part "build" 15 cargo build --locked --bins --tests --all-features
SIDE_BY_SIDE=3 part "unit and simulation" 8 unit
part "truth" 8 serial truth
begin "crash" 14 giving_way serial crash
part "runs and faults" 14 serial faults
finish "crash" 14
part "evidence" 6 serial evidence
# Tests that wait for servers more than they do.
SIDE_BY_SIDE=2 part "data systems" 14 serial data
SIDE_BY_SIDE=2 part "kubernetes" 9 serial kubernetes
part "reboot" 8 serial reboot

((over == 0)) || echo "$over parts took longer than their budget"
((again == 0)) || echo "$again passed only when tried once more"
echo "$passed passed, $failed failed"
((failed == 0))
