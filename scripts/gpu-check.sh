#!/usr/bin/env bash
# Proof on a real NVIDIA card. The machine with the card needs the driver alone: no Go, no network, no toolkit.
#
#   scripts/gpu-check.sh build DIR    on a machine with Go: makes DIR with binaries, goldens and run.sh
#   DIR/run.sh                        on the machine with the card: under ten minutes, a short table last
#   scripts/gpu-check.sh              both here
#
# As of this commit it has run on no card: the only proof so far is the simulator's.
#
# run.sh runs the conformance suite and the goldens of transformers on the card, the same under compute-sanitizer where
# that is installed, and then benchmarks: launches, matrix products, attention, a training step of Qwen3-0.6B, decoding, and how
# long the driver takes to compile the kernels, cold and from its cache. Where python3 has PyTorch with CUDA, the same beside it.
set -euo pipefail
root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)

build() {
  local dir=$1
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  cd "$root"
  export CGO_ENABLED=0 GOOS=linux GOARCH=${GOARCH:-amd64}
  go test -c -ldflags '-s -w' -o "$dir/cuda.test" ./internal/cuda
  go test -c -ldflags '-s -w' -o "$dir/qwen.test" ./models/qwen
  go build -ldflags '-s -w' -o "$dir/text2sql" ./examples/text2sql
  rm -rf "$dir/testdata"
  cp -r models/qwen/testdata "$dir/testdata"
  cp scripts/bench/gpu.py "$dir/gpu.py"
  git rev-parse --short HEAD >"$dir/commit"
  cp scripts/gpu-run.sh "$dir/run.sh"
  echo "$dir is ready: run $dir/run.sh on a machine with an NVIDIA card"
}

case ${1:-} in
build) build "${2:?where to: scripts/gpu-check.sh build DIR}" ;;
"")
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  build "$work"
  "$work/run.sh"
  ;;
*)
  sed -n '2,14s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
