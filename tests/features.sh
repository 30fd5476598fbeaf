#!/usr/bin/env bash
# The default build and each feature alone compile, and a build that lacks a feature says which one before anything runs:
# for each tests/features/NAME.yaml, which needs the feature NAME, the default build names it at a place in that file.
# Quick where there are no features.
set -euo pipefail
cd "$(dirname "$0")/.."

features=$(cargo metadata --locked --no-deps --format-version 1 |
  jq -r '.packages[] | select(.name == "blackstart") | .features | keys[] | select(. != "default")')
[[ -n $features ]] || { echo "there are no features"; exit 0; }

for feature in $features; do
  echo "feature $feature alone"
  cargo check --locked --lib --bins --no-default-features --features "$feature"
done
echo "the default build"
cargo build --locked --lib --bins
for feature in $features; do
  playbook=tests/features/$feature.yaml
  said=$(target=${CARGO_TARGET_DIR:-target} && "$target/debug/blackstart" validate "$playbook" 2>&1) && {
    echo "$playbook is valid in a build without $feature" >&2
    exit 1
  }
  grep -qF -- "--features $feature" <<<"$said" && grep -qF "$feature.yaml:" <<<"$said" || {
    printf 'the feature %s or the place is not named:\n%s\n' "$feature" "$said" >&2
    exit 1
  }
done
