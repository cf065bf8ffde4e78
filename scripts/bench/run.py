"""Runs every contender in turn, several rounds of them, and writes the medians into docs/benchmarks.md.

Started by scripts/bench-cpu.sh, which makes what it needs. Results so far are kept in results.jsonl, a line a figure with
the round that it comes from.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BEGIN, END = "<!-- bench-cpu: begin -->", "<!-- bench-cpu: end -->"


def contenders(work, quick):
    """(contender, command, environment) of a round, in the order in which they run."""
    python, hone = [sys.executable], [str(work / "hone")]
    torch = python + [str(HERE / "pytorch.py")]
    # A general allocator returns the big tensors of every step to the system and takes them again, page by page.
    torch_env = {"LD_PRELOAD": "libtcmalloc_minimal.so.4"}
    openblas_env = {"OPENBLAS_CORETYPE": "SkylakeX" if "avx512f" in flags() else "Haswell"}
    products = [
        ("peak", [str(work / "peak")], {}),
        ("hone", hone + ["matmul", "-dtype", "f32"], {}),
        ("OpenBLAS", python + [str(HERE / "openblas.py")], openblas_env),
        ("PyTorch", torch + ["matmul", "--dtype", "f32"], torch_env),
        ("hone", hone + ["matmul", "-dtype", "bf16"], {}),
        ("PyTorch", torch + ["matmul", "--dtype", "bf16"], torch_env),
        ("hone-avx2", hone + ["matmul", "-dtype", "f32"], {"HONE_SIMD": "avx2"}),
    ]
    for dtype in ("f32", "bf16"):
        for tokens in ("1024", "2048"):
            products.append(("hone", hone + ["attention", "-dtype", dtype, "-tokens", tokens], {}))
            products.append(("PyTorch", torch + ["attention", "--dtype", dtype, "--tokens", tokens], torch_env))
    steps = []
    for dtype in ("f32", "bf16"):
        steps.append(("hone", hone + ["step", "-dtype", dtype], {}))
        for mode in [["--compile"]] if quick else [[], ["--compile"]]:
            steps.append(("PyTorch", torch + ["step", "--dtype", dtype, *mode], torch_env))
    for recompute, moments, gradients in (("none", "f32", "bf16"), ("none", "8bit", "bf16"), ("selective", "f32", "f32"),
                                          ("block", "f32", "f32"), ("block", "f32", "bf16"), ("block", "8bit", "bf16")):
        steps.append(("hone", hone + ["step", "-dtype", "bf16", "-recompute", recompute, "-moments", moments, "-gradients", gradients], {}))
    steps.append(("PyTorch", torch + ["step", "--dtype", "bf16", "--compile", "--recompute", "block"], torch_env))
    for tokens in ("128", "512", "1024", "2048", "4096"):
        if tokens != "1024":  # which is above
            steps.append(("hone", hone + ["step", "-dtype", "bf16", "-recompute", "selective", "-tokens", tokens, "-repeats", "2"], {}))
        if not quick:
            steps.append(("hone", hone + ["step", "-dtype", "f32", "-layers", "8", "-recompute", "selective", "-tokens", tokens, "-repeats", "2"], {}))
    rest = [
        ("hone", hone + ["optimizer", "-dtype", "f32"], {}),
        ("hone", hone + ["optimizer", "-dtype", "bf16"], {}),
        ("hone", hone + ["optimizer", "-dtype", "bf16", "-moments", "8bit"], {}),
        ("hone", hone + ["decode", "-dtype", "bf16"], {}),
        ("hone", hone + ["prefill", "-dtype", "bf16", "-tokens", "2048"], {}),
        ("hone", hone + ["gpt"], {}),
        ("PyTorch", torch + ["gpt"], torch_env),
        ("PyTorch", torch + ["gpt", "--compile"], torch_env),
    ]
    if quick:
        steps = [(c, command + (["--repeats", "2"] if c == "PyTorch" else ["-repeats", "2"]), e) for c, command, e in steps]
    return {"steps": steps, "products": products, "rest": rest}


def flags():
    try:
        return next(l for l in open("/proc/cpuinfo") if l.startswith("flags")).split()
    except (OSError, StopIteration):
        return []


def processor():
    try:
        return next(l for l in open("/proc/cpuinfo") if l.startswith("model name")).split(":")[1].strip()
    except (OSError, StopIteration):
        return platform.processor()


def run(command, environment):
    p = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode:
        print(f"  failed ({p.returncode}): {' '.join(command)}\n{p.stderr[-2000:]}", file=sys.stderr)
    return [json.loads(line) for line in p.stdout.splitlines() if line.startswith("{")]


class Results:
    """Figures by what they are of, with the rounds' values."""

    def __init__(self, path):
        self.values = defaultdict(list)
        for line in path.read_text().splitlines():
            r = json.loads(line)
            self.values[self.key(r)].append(r)

    @staticmethod
    def key(r):
        return tuple(r.get(k) for k in ("contender", "bench", "dtype", "shape", "mode", "recompute", "moments", "gradients", "tokens", "layers", "threads"))

    def median(self, field, **wanted):
        """The median over the rounds, None if it was not measured."""
        rs = [r for rs in self.values.values() for r in rs if field in r and all(r.get(k) == v for k, v in wanted.items())]
        return statistics.median(r[field] for r in rs) if rs else None

    def shapes(self, **wanted):
        seen = {}
        for rs in self.values.values():
            for r in rs:
                if all(r.get(k) == v for k, v in wanted.items()):
                    seen[r.get("shape")] = True
        return list(seen)


def table(head, rows):
    out = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(out + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]) + "\n"


def number(x, digits=0):
    return "–" if x is None else f"{x:,.{digits}f}"


def ratio(a, b):
    return None if a is None or b is None else a / b


def over(a, b):
    r = ratio(a, b)
    return "–" if r is None else f"{r:.2f}×"


def spread(ratios):
    ratios = [r for r in ratios if r is not None]
    return "–" if not ratios else f"worst {min(ratios):.2f}, median {statistics.median(ratios):.2f}"


def write(results, config, rounds):
    m = results.median
    peaks = {s: m("gflops", bench="peak", shape=s, threads=os.cpu_count()) for s in results.shapes(bench="peak")}
    f32_peak = peaks.get("f32 FMA, 512 bits") or peaks.get("f32 FMA, 256 bits")
    bf16_peak = max((v for s, v in peaks.items() if v and s.startswith("bf16")), default=f32_peak)
    read = m("gb_per_second", bench="peak", shape="memory, read", threads=os.cpu_count())
    scale = m("gb_per_second", bench="peak", shape="memory, scale in place", threads=os.cpu_count())
    text = [
        "    scripts/bench-cpu.sh\n",
        f"{date.today()}, {processor()}, {os.cpu_count()} processors, medians of rounds: {rounds}; in each all took their turn.",
        f"hone ran on its path `{next((r['path'] for rs in results.values.values() for r in rs if 'path' in r), '?')}`; {config.splitlines()[0]}.\n",
        "Probed beside it:\n",
        table(["probe", "1 thread", f"{os.cpu_count()} threads"], [
            [s, *(number(m("gflops", bench="peak", shape=s, threads=n) or m("gb_per_second", bench="peak", shape=s, threads=n)) + (" GB/s" if "memory" in s else " GFLOP/s")
                  for n in (1, os.cpu_count()))] for s in results.shapes(bench="peak")]),
        "### Matrix products, GFLOP/s\n",
    ]
    rows, blas, one = [], [], []
    for s in results.shapes(bench="matmul", contender="hone"):
        f = {c: m("gflops", bench="matmul", shape=s, dtype="f32", contender=c) for c in ("hone", "OpenBLAS", "PyTorch", "hone-avx2")}
        b = {c: m("gflops", bench="matmul", shape=s, dtype="bf16", contender=c) for c in ("hone", "PyTorch")}
        blas.append(ratio(f["hone"], f["OpenBLAS"]))
        one.append(ratio(b["hone"], b["PyTorch"]))
        rows.append([s, *(number(f[c]) for c in ("hone", "OpenBLAS", "PyTorch")), over(f["hone"], f["OpenBLAS"]), number(f["hone-avx2"]),
                     *(number(b[c]) for c in ("hone", "PyTorch")), over(b["hone"], b["PyTorch"])])
    text.append(table(["shape, T = 1024", "f32 hone", "OpenBLAS", "PyTorch (MKL)", "to OpenBLAS", "f32 hone, AVX2", "bf16 hone", "oneDNN (PyTorch)", "to oneDNN"], rows))
    avx2 = [ratio(m("gflops", bench="matmul", shape=s, dtype="f32", contender="hone-avx2"), peaks.get("f32 FMA, 256 bits")) for s in results.shapes(bench="matmul", contender="hone-avx2")]
    text.append(f"f32 to OpenBLAS: {spread(blas)}. bf16 to oneDNN: {spread(one)}. AVX2 to the AVX2 peak: {spread(avx2)}.\n")

    text.append("### Attention, 16 heads, 8 of keys and values, 128 wide, causal, GFLOP/s\n")
    rows = []
    for dtype in ("f32", "bf16"):
        for t in (1024, 2048):
            hone_f, hone_fb = (m("gflops", bench="attention", dtype=dtype, shape=f"{k} {t}", contender="hone") for k in ("forward", "forward and backward"))
            torch_f, torch_b = (m("gflops", bench="attention", dtype=dtype, shape=f"{k} {t}", contender="PyTorch") for k in ("forward", "backward"))
            torch_fb = None if not torch_f or not torch_b else 3.5 / (1 / torch_f + 2.5 / torch_b)
            rows.append([dtype, t, number(hone_f), number(torch_f), over(hone_f, torch_f), number(hone_fb), number(torch_fb), over(hone_fb, torch_fb)])
    text.append(table(["", "T", "forward, hone", "PyTorch", "", "forward and backward, hone", "PyTorch", ""], rows))

    text.append("### A full training step of Qwen3-0.6B, T = 1024\n")
    rows, best = [], {}
    states = [("f32", "f32"), ("f32", "bf16"), ("8bit", "bf16")]  # moments and gradients
    for dtype, contender, mode, recompute, (moments, gradients) in itertools.chain(
            itertools.product(("f32", "bf16"), ("PyTorch",), ("eager", "compiled"), ("none", "block"), [(None, None)]),
            itertools.product(("f32", "bf16"), ("hone",), ("hone",), ("none", "selective", "block"), states)):
        w = dict(bench="step", dtype=dtype, contender=contender, mode=mode, recompute=recompute, tokens=1024, layers=28)
        if contender == "hone":
            w |= dict(moments=moments, gradients=gradients)
        speed, rss = m("tokens_per_second", **w), m("peak_rss", **w)
        if speed is None:
            continue
        best.setdefault((contender, dtype, recompute, moments, gradients), []).append((speed, rss))
        name = f"PyTorch, {mode}" if contender == "PyTorch" else f"hone, {moments} moments, {gradients} gradients"
        rows.append([dtype if contender == "hone" or dtype == "f32" else "bf16 autocast", name, recompute, number(speed, 1), number(rss / 2**30, 2),
                     number(m("forward_backward", **w), 2), number(m("optimizer", **w), 2), number(m("gflops", **w)) if contender == "hone" else ""])
    text.append(table(["", "", "recompute", "tokens/s", "peak RSS, GiB", "forward and backward, s", "clip and AdamW, s", "GFLOP/s"], rows))
    pick = lambda *k: max(best.get(k, [(None, None)]), key=lambda x: x[0] or 0)
    lines = []
    for dtype, recompute in (("f32", "none"), ("bf16", "none"), ("bf16", "block")):
        t = pick("PyTorch", dtype, recompute, None, None)
        for moments, gradients in states:
            h = pick("hone", dtype, recompute, moments, gradients)
            if h[0]:
                lines.append(f"- {dtype}, {'layers recomputed, ' if recompute == 'block' else ''}{moments} moments, {gradients} gradients: hone to PyTorch's better mode {over(h[0], t[0])} in tokens a second, {over(h[1], t[1])} in peak memory.")
    h = m("gflops", bench="step", contender="hone", dtype="f32", recompute="none", moments="f32", gradients="f32", tokens=1024, layers=28)
    lines.append(f"- f32 step: {number(100 * (ratio(h, f32_peak) or 0))} % of the probed f32 peak, forward, backward and optimizer together.")
    text.append("\n".join(lines) + "\n")

    text.append("### Cost of a token against T = 1024, forward and backward, FLOPs counted (bf16: the whole model; f32: 8 of the 28 layers, whole vocabulary)\n")
    rows = []
    for dtype, layers in (("f32", 8), ("bf16", 28)):
        def rate(t):
            w = dict(bench="step", contender="hone", dtype=dtype, layers=layers, recompute="selective", moments="f32", gradients="f32", tokens=t)
            g, s, fb = m("gflops", **w), m("seconds", **w), m("forward_backward", **w)
            return None if not g else g * s / fb
        rows.append([dtype, *(over(rate(1024), rate(t)) for t in (128, 512, 1024, 2048, 4096))])
    text.append(table(["", *(f"T = {t}" for t in (128, 512, 1024, 2048, 4096))], rows))

    text.append("### Memory-bound and the rest\n")
    rows = []
    for dtype, moments in (("f32", "f32"), ("bf16", "f32"), ("bf16", "8bit")):
        g, s = (m(k, bench="optimizer", contender="hone", dtype=dtype, moments=moments) for k in ("gb_per_second", "seconds"))
        rows.append([f"AdamW, {dtype} parameters, {moments} moments", f"{number(s, 3)} s, {number(g, 1)} GB/s", f"{number(100 * (ratio(g, scale) or 0))} % of in-place scaling"])
    g, s = (m(k, bench="decode", contender="hone", dtype="bf16") for k in ("gb_per_second", "tokens_per_second"))
    rows.append(["decoding Qwen3-0.6B in bf16", f"{number(s, 1)} tokens/s, {number(g, 1)} GB/s", f"{number(100 * (ratio(g, read) or 0))} % of reading"])
    g, s = (m(k, bench="prefill", contender="hone", dtype="bf16") for k in ("gflops", "tokens_per_second"))
    rows.append(["prefill of 2,048 tokens in bf16", f"{number(s)} tokens/s, {number(g)} GFLOP/s", f"{number(100 * (ratio(g, bf16_peak) or 0))} % of the bf16 peak"])
    h, *t = (m("tokens_per_second", bench="gpt", contender=c, mode=mode) for c, mode in (("hone", "hone"), ("PyTorch", "eager"), ("PyTorch", "compiled")))
    rows.append(["training a tiny GPT in f32 (4 layers, 256 wide, 8 rows of 128)", f"{number(h)} tokens/s; PyTorch eager {number(t[0])}, compiled {number(t[1])}", over(h, max((x for x in t if x), default=None))])
    text.append(table(["", "", ""], rows))
    text.append("PyTorch ran with tcmalloc, which served it best, and this build:\n\n" + "\n".join("    " + l[:160] for l in config.splitlines() if l.strip()) + "\n")

    path = ROOT / "docs/benchmarks.md"
    page = path.read_text()
    if BEGIN not in page:
        page += f"\n## Against OpenBLAS, oneDNN and PyTorch\n\n{BEGIN}\n{END}\n"
    before, rest = page.split(BEGIN)
    path.write_text(before + BEGIN + "\n" + "\n".join(text) + END + rest.split(END)[1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work", type=Path)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--quick", action="store_true", help="one round in ten minutes: PyTorch compiled only, fewer repeats")
    p.add_argument("--only", choices=["products", "steps", "rest"], help="one group of measurements; the page is written from all there are")
    p.add_argument("--write", action="store_true", help="write the page from the results of earlier runs")
    a = p.parse_args()
    if a.quick:
        a.rounds = 1
    log = a.work / "results.jsonl"
    if not a.write:
        if not a.only:
            log.unlink(missing_ok=True)
        with log.open("a") as out:
            for r in range(a.rounds):
                for group, cs in contenders(a.work, a.quick).items():
                    if a.only not in (None, group) or group == "steps" and r >= 2:
                        continue
                    for contender, command, environment in cs:
                        print(f"round {r + 1}: {contender} {' '.join(command[1:])}", file=sys.stderr, flush=True)
                        for line in run(command, environment):
                            out.write(json.dumps({"contender": contender, "round": r, **line}) + "\n")
                            out.flush()
    config = subprocess.run([sys.executable, str(HERE / "pytorch.py"), "config"], capture_output=True, text=True, check=True).stdout
    write(Results(log), config, a.rounds)
    print(f"wrote {ROOT / 'docs/benchmarks.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
