#!/usr/bin/env bash
# What takes too long for every change: long fuzzing, every kernel path, the race detector over everything.
# What it finds out is added to docs/full-check.log, with the date and the machine. full-check.sh kills,
# full-check.sh mutants or full-check.sh fuzz DIR TARGET N runs that part alone: each part is a function below.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"

note() { # adds what it reads to the log
  printf '%s, %s, %s: %s\n' "$(date -u +%F)" "$(go version | cut -d' ' -f3-)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)" "$(cat)" | tee -a docs/full-check.log
}

# A run is killed 200 times, 50 times or more inside a save, and resumed to the same bits each time.
kills() {
  HONE_KILLS=200 CGO_ENABLED=0 go test -count=1 -v -timeout 30m -run '^TestKilledAndResumedEqualsUninterruptedToTheBit$' ./train |
    sed -n 's/.*kill_test.go:[0-9]*: //p' | note
}

# Every kernel is broken in every way that hardly ever leaves it equivalent: without a barrier, a wait, a shuffle, a store or
# an mma, a maximum for a minimum. HONE_MUTANT_KINDS picks others, HONE_MUTANTS=n tries n of each kind and kernel,
# HONE_MUTANT_FAMILIES=softmax,scan picks files of kernels. Fails if the exercises of a kernel do not notice one that is
# not argued to be equivalent; the output names it.
mutants() {
  local how=${HONE_MUTANTS:-all} out
  out=$(mktemp)
  HONE_MUTANTS=$how CGO_ENABLED=0 go test -count=1 -v -timeout 48h -run '^TestBrokenKernelsAreNoticed$' ./internal/cuda >"$out" || true
  cat "$out"
  sed -n "s/.*mutation_test.go:[0-9]*: \(mutants of .*\)/HONE_MUTANTS=$how${HONE_MUTANT_KINDS:+ of $HONE_MUTANT_KINDS}: \1/p" "$out" | while read -r line; do note <<<"$line"; done
  tail -1 "$out" | grep -q '^ok'
}

# N executions of one fuzz target, such as fuzz tensor/gguf FuzzParse 8000000.
fuzz() {
  local out
  out=$(mktemp)
  CGO_ENABLED=0 go test -run '^$' -fuzz "^$2\$" -fuzztime "$3x" -fuzzminimizetime 5x "./$1" | tee "$out"
  echo "fuzzing $1 $2: $(grep -o 'elapsed: .*' "$out" | tail -1), no failure" | note
}

case ${1:-} in kills | mutants | fuzz)
  "$@"
  exit
  ;;
esac
time=${1:-5m} # of each fuzz target

kills

for path in generic avx2 avx512 avx512bf16 amx; do
  if HONE_SIMD=$path go run ./examples/text2sql info >/dev/null 2>&1; then
    HONE_SIMD=$path CGO_ENABLED=0 go test -count=1 ./...
  else
    echo "HONE_SIMD=$path: this processor lacks it, not run"
  fi
done
CGO_ENABLED=0 go test -count=1 -tags purego ./...
CGO_ENABLED=1 go test -count=1 -race -short ./...

# Steps of the demo on the simulated GPU have the CPU's losses; it takes some ten minutes.
HONE_FULL_CHECK=1 CGO_ENABLED=0 go test -count=1 -v -timeout 1h -run 'TestTheDemoOnTheSimulatedGPU' ./examples/text2sql | grep -v '^='

# A step of Qwen3-0.6B takes the memory that was predicted; each case is a process of its own.
for tokens in 512 1024 2048; do
  for recompute in none selective block; do
    HONE_FULL_CHECK=1 CGO_ENABLED=0 go test -count=1 -v -run "TestMemoryOfQwen06B/tokens=$tokens/$recompute\$" ./train | grep -v '^='
  done
done

git grep -hoE '^func Fuzz[A-Za-z0-9]+' -- '*_test.go' | sed 's/func //' | sort -u | while read -r target; do
  git grep -lE "^func $target\b" -- '*_test.go' | xargs -n1 dirname | sort -u | while read -r dir; do
    echo "$dir $target"
    CGO_ENABLED=0 go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "./$dir"
  done
done

mutants
