#!/usr/bin/env bash
# Runs a subset of the kernel tests on processors that this machine is not: arm64 with and without bfloat16
# instructions, and amd64 with AVX2 and with neither. qemu's user mode runs the cross-compiled test binaries;
# it has no AVX-512. Takes under three minutes on two cores.
#
#   scripts/qemu-check.sh
#
# Each processor must have exactly the kernel paths that are named for it below, and the tests must have run
# on the best of them.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
export CGO_ENABLED=0 HONE_TEST_DEVICE=cpu # static binaries; the simulated GPU is the same on every processor

emulators="qemu-aarch64-static qemu-x86_64-static"
if [ "$(command -v $emulators | wc -l)" != 2 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "SKIPPED: this machine lacks $emulators: install Debian's package qemu-user-static"
    exit 0
  fi
  apt-get update -qq && apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for arch in arm64 amd64; do
  mkdir "$work/$arch"
  for package in internal/cpu/simd internal/cpu/gemm internal/cpu models/qwen; do
    GOARCH=$arch go test -tags nocuda -c -o "$work/$arch/$(basename $package).test" ./$package
  done
done

# The tests that are run. Of package simd it is all but one, which starts a process of its own: that the
# emulator cannot. What it tests, refuses does below.
gemm='(MulAgrees|BF16ProductsInEveryLayout|EveryDType|NaN|Denormals|Allocate|AFewRows)'
kernels='^(Softmax|RMSNorm|RoPE|SwiGLU|AdamW)$'
golden='TestQwensComputeWhatTransformersComputes/^(tied|untied)$/^cpu$/^(logits|bfloat16)'

# check ARCH PROCESSOR PATH...: runs the tests on an emulated processor, which has these paths.
check() (
  arch=$1 processor=$2
  shift 2
  paths=$(printf ', %s' "$@")
  paths=${paths:2}
  best=${*: -1}
  emulator="qemu-${arch/amd64/x86_64}-static -cpu $processor"
  emulator=${emulator/arm64/aarch64}
  log=$work/$processor.log
  summary=

  fail() {
    echo "FAIL: $arch $processor: $*"
    exit 1
  }
  # run FOLDER BINARY ARGUMENT...
  run() {
    local folder=$1 binary=$work/$arch/$2.test
    shift 2
    if ! (cd "$folder" && $emulator "$binary" -test.v -test.timeout 170s "$@") >"$log" 2>&1; then
      grep -v '^=== \|^ *--- PASS\|TCG doesn' "$log" | tail -n 60
      fail "$(basename "$binary")"
    fi
  }
  # passed WHAT: tests must have passed on the best path.
  passed() {
    local n
    n=$(grep -c -- "--- PASS: .*/$best\(/\| \)" "$log") || fail "no test of $1 ran on $best"
    summary+=", $1 $n"
  }
  # refuses PATH: HONE_SIMD=PATH is an error that lists the valid paths.
  refuses() {
    local code=0
    HONE_SIMD=$1 $emulator "$work/$arch/simd.test" -test.run '^$' >"$log" 2>&1 || code=$?
    if [ $code != 2 ] || ! grep -q "^HONE_SIMD: .*\"$1\".*choose one of $paths\$" "$log"; then
      fail "HONE_SIMD=$1 gives exit code $code and: $(cat "$log")"
    fi
  }

  run internal/cpu/simd simd -test.skip TestEnvironmentForcesThePath
  grep -qx "kernel paths under test: $paths" "$log" || fail "has not the paths $paths: $(grep 'paths under test' "$log")"
  passed simd
  refuses nonsense
  for path in avx2 avx512 neon neonbf16; do
    [[ " $* " == *" $path "* ]] || refuses $path
  done
  run internal/cpu/gemm gemm -test.short -test.run "$gemm/^$best\$"
  passed gemm
  run internal/cpu cpu -test.short -test.run "TestConformance/^$best\$/$kernels"
  passed conformance
  run models/qwen qwen -test.run "$golden"
  echo "$arch $processor: paths $paths; tests that passed on $best: ${summary:2}; goldens of models/qwen"
)

# Two at a time, one of either architecture.
failed=0
(check arm64 max generic neon neonbf16 && check arm64 cortex-a72 generic neon) >"$work/arm64.out" 2>&1 &
arm=$!
(check amd64 Haswell generic avx2 && check amd64 Nehalem generic) >"$work/amd64.out" 2>&1 || failed=1
wait $arm || failed=1
cat "$work/arm64.out" "$work/amd64.out"
exit $failed
