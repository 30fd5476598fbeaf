#!/usr/bin/env bash
# Gives r2 the data set that it shall start with. A folder in which there is something already is refused.
#
#   fetch.sh [--dir DIR]           the newest sound backup
#   fetch.sh [--dir DIR] --log     what r1 has appended to its file, without the FLUSHALL in it. r1 is ended for that.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=(log)
parse_options "$@"
load_staging
data=$DIR/r2/data
[[ -z $(ls -A "$data") ]] || die "$data is not empty; what is restored must not mix with what is there"

if [[ -z $LOG ]]; then
  file=$(newest) || die "there is no backup that redis-check-rdb finds sound"
  as_owner install -m 600 "$DIR/backups/$file" "$data/dump.rdb"
  echo "backup=$file"
  exit 0
fi
# Ended in order, so that all it has acknowledged is in its files. The copy comes to its place when it is sound.
cat "$DIR/pids/r1" | end_processes TERM
copy=$DIR/r2/copy
rm -rf "$copy"
as_owner cp -r "$DIR/r1/data/appendonlydir" "$copy"
file=$(ls -1 "$copy"/*.incr.aof | sort -V | tail -1)
# The command as Redis writes it, in whatever letters it was typed: *1, $8 and its name, a line each.
at=$(grep -aboi $'^flushall\r$' "$file" | tail -1 | cut -d: -f1) || true
[[ -n $at && $(tail -c +$((at - 7)) "$file" | head -c 8) == $'*1\r\n$8\r' ]] || die "there is no FLUSHALL in $file"
{ head -c $((at - 8)) "$file"; tail -c +$((at + 8 + 2 + 1)) "$file"; } >"$DIR/r2/cut"
as_owner cp "$DIR/r2/cut" "$file"
rm -f "$DIR/r2/cut"
redis-check-aof "$(ls -1 "$copy"/*.manifest)" >"$DIR/log/check-aof.log" 2>&1 ||
  die "what is left is no sound file: $(tail -1 "$DIR/log/check-aof.log")"
as_owner mv "$copy" "$data/appendonlydir"
sed -i 's/^appendonly no$/appendonly yes/' "$DIR/r2/redis.conf"
echo "cut_at=$at"
