#!/usr/bin/env bash
# Compares the two stores record by record: a row without a key in the index (missing), a key without a row (dangling), and a
# key whose hash is not the row's (differing). Prints the three counts and how many records agree; fails when they do not.
# Records may be written meanwhile: rows that came after it began do not count as missing.
#
#   consistent.sh [--dir DIR]

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
FLAGS=()
parse_options "$@"
load_staging
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The end of the rows first, then the keys, then the rows: whatever has a key by then had its row before, and a row from before
# the end is given the time of two questions to get its key.
end=$(rows "select coalesce(max(id), 0) from records") || die "the rows cannot be read"
ctl get index/ --prefix -w json |
  jq -r '.kvs // [] | .[] | "\(.key | @base64d | ltrimstr("index/")) \(.value | @base64d)"' | sort >"$scratch/keys" ||
  die "the index cannot be read"
rows "select run || '/' || writer || '/' || seq || '/' || attempt || ' ' || encode(sha256(decode(payload, 'hex')), 'hex')
  || ' ' || id from records" | sort >"$scratch/all" || die "the rows cannot be read"
cut -d' ' -f1,2 "$scratch/all" >"$scratch/rows"
awk -v end="$end" '$3 <= end { print $1 }' "$scratch/all" >"$scratch/settled"
cut -d' ' -f1 "$scratch/keys" >"$scratch/key-names"
cut -d' ' -f1 "$scratch/rows" >"$scratch/row-names"
agree=$(comm -12 "$scratch/keys" "$scratch/rows" | wc -l)
missing=$(comm -13 "$scratch/key-names" "$scratch/settled" | wc -l)
dangling=$(comm -23 "$scratch/key-names" "$scratch/row-names" | wc -l)
differing=$(($(comm -12 "$scratch/key-names" "$scratch/row-names" | wc -l) - agree))
printf 'agree=%s\nmissing=%s\ndangling=%s\ndiffering=%s\n' "$agree" "$missing" "$dangling" "$differing"
((dangling == 0 && differing == 0)) || die "$dangling keys without a row, $differing that differ"
((missing == 0)) || die "$missing rows without a key"
