#!/usr/bin/env bash
# Measures hone, OpenBLAS, oneDNN and PyTorch in turn on this machine's processor and writes the medians into
# docs/benchmarks.md. It needs Go, Python 3 with venv, a C compiler, 20 GiB of memory and an idle machine; what is missing
# of Debian's packages it installs when it runs as root. About half an hour on two cores.
#
#   scripts/bench-cpu.sh [--quick] [--rounds N] [--only products|steps|rest] [--write]
#
# BENCH_DIR is where the programs, PyTorch and the raw results are kept (a folder of the system's temporary one).
set -euo pipefail
cd "$(dirname "$0")/.."
work=${BENCH_DIR:-${TMPDIR:-/tmp}/hone-bench}
mkdir -p "$work"

packages=()
ldconfig -p | grep -q libopenblas.so.0 || packages+=(libopenblas0-pthread)
ldconfig -p | grep -q libtcmalloc_minimal.so.4 || packages+=(libtcmalloc-minimal4)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v c++ >/dev/null || packages+=(g++) # PyTorch compiles with it
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "bench-cpu: install ${packages[*]} first, or run as root" >&2
    exit 1
  fi
  apt-get update -qq && apt-get install -y -qq "${packages[@]}"
fi

if [ ! -x "$work/venv/bin/python" ]; then
  python3 -m venv "$work/venv"
fi
"$work/venv/bin/python" -c 'import torch, numpy' 2>/dev/null || "$work/venv/bin/pip" install -q --upgrade torch numpy

cc -O3 -march=native -o "$work/peak" scripts/bench/peak.c -lpthread
CGO_ENABLED=0 go build -o "$work/hone" ./scripts/bench/hone
PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" scripts/bench/run.py "$work" "$@"
