#!/usr/bin/env bash
# Rebuilds the kernels' PTX from their CUDA C with clang-19 and compares it with what is committed: byte for byte if
# the compiler is the one that made it, and otherwise by running the CUDA backend's tests on the rebuilt PTX.
#
#   scripts/ptx-check.sh
#
# It installs clang-19 where apt has it, and says so where it cannot. Takes about a minute.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
export CGO_ENABLED=0

if ! command -v clang-19 >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null ||
    ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends clang-19 >/dev/null; }; then
    echo "SKIPPED: this machine lacks clang-19, which makes PTX of the kernels: install Debian's package clang-19"
    exit 0
  fi
fi

kernels=$PWD/internal/cuda/kernels
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$kernels" && go run build.go -out "$work")

if ! diff <(cd "$kernels" && ls ./*.ptx) <(cd "$work" && ls ./*.ptx); then
  echo "FAIL: families without .cu or without .ptx, as shown"
  exit 1
fi
version() { head -n 1 "$1" | grep -o 'clang version .*'; }
differ=()
for ptx in "$kernels"/*.ptx; do
  built=$work/$(basename "$ptx")
  cmp -s "$ptx" "$built" && continue
  if [ "$(version "$ptx")" = "$(version "$built")" ]; then
    echo "FAIL: $(basename "$ptx") is not what $(version "$built") makes of its source: run go generate in internal/cuda/kernels"
    exit 1
  fi
  differ+=("$(basename "$ptx")")
done
if [ ${#differ[@]} = 0 ]; then
  echo "all $(ls "$work" | wc -l) families of PTX are what $(version "$built") makes of their sources"
  exit 0
fi

echo "another compiler than the committed PTX's ($(version "$built")): the tests run on what it makes"
{
  printf '{"Replace":{'
  separator=
  for name in "${differ[@]}"; do
    printf '%s"%s":"%s"' "$separator" "$kernels/$name" "$work/$name"
    separator=,
  done
  printf '}}'
} >"$work/overlay.json"
go test -overlay "$work/overlay.json" ./internal/cuda/...
