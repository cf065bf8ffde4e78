#!/usr/bin/env bash
# What NVIDIA's assembler makes of the kernels for each generation of cards: registers, spills and shared memory, as a
# Markdown table on standard output. It needs no GPU. ptxas comes from PyPI (nvidia-cuda-nvcc-cu12); PTXAS names another.
#
#   scripts/ptxas.sh            every kernel
#   scripts/ptxas.sh gemm norm  the kernels of these families
#
# It fails if ptxas refuses a kernel, and names kernels that spill.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)/internal/cuda/kernels"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ptxas=${PTXAS:-}
if [ -z "$ptxas" ] && ! ptxas=$(command -v ptxas); then
  python3 -m pip download -q --no-deps -d "$work" nvidia-cuda-nvcc-cu12==12.4.131
  python3 -m zipfile -e "$work"/*.whl "$work"
  ptxas=$work/nvidia/cuda_nvcc/bin/ptxas
  chmod +x "$ptxas"
fi

families=("$@")
if [ ${#families[@]} = 0 ]; then
  for f in *.ptx; do families+=("${f%.ptx}"); done
fi
architectures="80 86 89 90"
for family in "${families[@]}"; do
  for sm in $architectures; do
    "$ptxas" -v -arch=sm_"$sm" "$family.ptx" -o /dev/null >"$work/$family.$sm.log" 2>&1 || { cat "$work/$family.$sm.log"; exit 1; }
  done
done

echo "$("$ptxas" --version | tail -n 1); registers a thread, spilled bytes where there are any; shared memory is static."
echo
echo "| kernel | sm_80 | sm_86 | sm_89 | sm_90 | shared memory, bytes |"
echo "| --- | --- | --- | --- | --- | --- |"
for family in "${families[@]}"; do
  for sm in $architectures; do
    awk -v sm="$sm" '
      /Compiling entry function/ { split($0, q, "\047"); kernel = q[2] }
      /bytes stack frame/ { spill = $5 + $9 }
      /Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
        shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH - 11) : 0
        print kernel, sm, registers, spill, shared
      }' "$work/$family.$sm.log"
  done | awk -v family="$family" -v list="$architectures" '
      { if (!($1 in seen)) { seen[$1] = 1; order[++n] = $1 } value[$1, $2] = $4 > 0 ? $3 " (" $4 " spilled)" : $3; shared[$1] = $5
        if ($4 > 0) print "spills: " $1 " on sm_" $2 ", " $4 " bytes" > "/dev/stderr" }
      END { m = split(list, sm, " ")
        for (i = 1; i <= n; i++) { row = "| " family "/" order[i]
          for (j = 1; j <= m; j++) row = row " | " value[order[i], sm[j]]
          print row " | " shared[order[i]] " |" } }'
done
