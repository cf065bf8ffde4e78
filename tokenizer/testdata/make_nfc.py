"""Measures what the reference's NFC does with every code point.

    python3 make_nfc.py            # needs: pip install tokenizers

Writes nfc_reference.txt, the ranges of code points that the NFC of the Rust
`tokenizers` library acts upon:

    U  unstable: has a combining class, is changed by NFC, or composes with the
       character before it. Text without these is its own NFC.
    D  decomposes, but NFC puts it together again.

Everything else, newer marks included, passes through untouched.
"""
import pathlib
import tokenizers
from tokenizers import normalizers

HERE = pathlib.Path(__file__).parent
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str


def scalars():
    yield from range(0, 0xD800)
    yield from range(0xE000, 0x110000)


def has_combining_class(ch):
    low, high = "\u0334", "\u0345"  # combining classes 1 and 240
    if ch in (low, high):
        return True
    return NFD("a" + ch + low) != "a" + ch + low or NFD("a" + high + ch) != "a" + high + ch


kind, second = {}, set()
for c in scalars():
    ch = chr(c)
    nfd = NFD(ch)
    if nfd != ch and NFC(ch) == ch:
        kind[c] = "D"
        second.add(ord(nfd[-1]))
    elif NFC(ch) != ch or has_combining_class(ch):
        kind[c] = "U"
for c in second:
    kind[c] = "U"

lines = [f"# NFC of tokenizers@{tokenizers.__version__} (measured); U unstable, D decomposes and composes; everything else inert"]
start = None
for c in range(0x110001):
    k = kind.get(c)
    if start is not None and kind.get(start) != k:
        lines.append(f"{start:X} {c - 1:X} {kind[start]}")
        start = None
    if start is None and k:
        start = c
(HERE / "nfc_reference.txt").write_text("\n".join(lines) + "\n")
