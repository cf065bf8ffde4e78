#!/usr/bin/env bash
# Run by itself, beside the binaries that scripts/gpu-check.sh build put here, on a machine with an NVIDIA card.
# HONE_TEST_DEVICE names the card (cuda:0).
set -uo pipefail
cd "$(dirname "$0")"
export HONE_TEST_DEVICE=${HONE_TEST_DEVICE:-cuda:0}
failed=0
table=()
row() { table+=("$(printf '| %-52s | %s |' "$1" "$2")"); }

# check NAME COMMAND...: a row that says whether a command succeeded, and its last lines if not.
check() {
  local name=$1 log
  shift
  log=$(mktemp)
  local begin=$SECONDS
  if timeout 240 "$@" >"$log" 2>&1; then
    row "$name" "passed, $(grep -c -- '--- PASS' "$log") tests, $((SECONDS - begin)) s"
  else
    row "$name" "FAILED"
    echo "== $name failed:"
    grep -v '^=== ' "$log" | tail -n 40
    failed=1
  fi
  rm -f "$log"
}

./text2sql info -device "$HONE_TEST_DEVICE" || exit 1
card=$(./text2sql info -device "$HONE_TEST_DEVICE" | grep "^$HONE_TEST_DEVICE")

# Compiled cold and from the driver's cache.
export CUDA_CACHE_PATH=$PWD/cache
rm -rf cache
for state in cold cached; do
  row "compiling all kernels, $state" "$(./cuda.test -test.run '^$' -test.bench BenchmarkLoadEveryFamily -test.benchtime 1x | awk '/ns\/op/ { printf "%.2f s", $3 / 1e9 }')"
done

check "conformance suite" ./cuda.test -test.v -test.run 'OnTheCard'
check "goldens of transformers" ./qwen.test -test.v -test.run 'Transformers|AdamWSteps|SameBits|OnAGPU'
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    check "compute-sanitizer $tool" compute-sanitizer --tool $tool --error-exitcode 1 ./qwen.test -test.v -test.run 'TestQwensComputeWhatTransformersComputes/^(tied|untied)$/^cuda/^logits'
  done
else
  row "compute-sanitizer" "not run: this machine lacks it"
fi

bench=$(./cuda.test -test.run '^$' -test.bench 'OnTheCard' -test.benchtime 1s)
while read -r name _ time _ value unit _; do row "$name" "${value:-$time} ${unit:-ns a call}"; done < <(grep '^Benchmark' <<<"$bench")
step=$(./qwen.test -test.run '^$' -test.bench 'BenchmarkQwen06B' -test.benchtime 5x -test.timeout 300s)
while read -r line; do row "${line%% *}" "$(grep -oE '[0-9.e+]+ (tokens/s|%MFU|GiB)' <<<"$line" | paste -sd, | sed 's/,/, /g')"; done < <(grep '^Benchmark' <<<"$step")
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  while IFS='|' read -r name value; do row "$name" "$value"; done < <(python3 gpu.py)
else
  row "PyTorch" "not run: python3 here has no torch with CUDA"
fi

echo
echo "$card; commit $(cat commit); $(date -u +%F)"
echo
echo "| what | result |"
echo "| --- | --- |"
printf '%s\n' "${table[@]}"
exit $failed
