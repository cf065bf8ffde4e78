"""Writes tensor/testdata/philox.txt: known answers of Philox4x32-10.

The first three lines are those that Random123 publishes (tests/kat_vectors, Salmon et al. 2011). The
implementation below is written from the paper; it must give them, and then computes the others: counters on
both sides of a carry out of each word.
"""

from common import ROOT

PUBLISHED = """\
00000000 00000000 00000000 00000000  00000000 00000000  6627e8d5 e169c58d bc57ac4c 9b00dbd8
ffffffff ffffffff ffffffff ffffffff  ffffffff ffffffff  408f276d 41c83b0e a20bc7c6 6d5451fd
243f6a88 85a308d3 13198a2e 03707344  a4093822 299f31d0  d16cfe09 94fdcceb 5001e420 24126ea1
"""

HEADER = """\
# Philox4x32-10. A line is counter[0..3], key[0..1], output[0..3]: 32-bit words in hexadecimal,
# word 0 first (the least significant of the counter).
"""

# (counter, key) as whole numbers.
COMPUTED = [(c, k) for k in (0, 42, 0x0123456789ABCDEF) for c in (1, 2, 2**32 - 1, 2**32, 2**64 - 1, 2**64, 2**96 - 1, 2**96)]

WORD = 0xFFFFFFFF


def philox4x32_10(counter: list[int], key: list[int]) -> list[int]:
    x0, x1, x2, x3 = counter
    for r in range(10):
        k0 = (key[0] + r * 0x9E3779B9) & WORD  # the Weyl sequence of the golden ratio
        k1 = (key[1] + r * 0xBB67AE85) & WORD  # and of √3 − 1
        left, right = x0 * 0xD2511F53, x2 * 0xCD9E8D57
        x0, x1, x2, x3 = (right >> 32) ^ x1 ^ k0, right & WORD, (left >> 32) ^ x3 ^ k1, left & WORD
    return [x0, x1, x2, x3]


def words(number: int, n: int) -> list[int]:
    return [(number >> (32 * i)) & WORD for i in range(n)]


def line(counter: list[int], key: list[int], out: list[int]) -> str:
    return "  ".join(" ".join(f"{w:08x}" for w in group) for group in (counter, key, out)) + "\n"


def main() -> None:
    for published in PUBLISHED.splitlines():
        w = [int(s, 16) for s in published.split()]
        got = philox4x32_10(w[0:4], w[4:6])
        assert got == w[6:10], (published, got)
    text = HEADER + "# Published by Random123.\n" + PUBLISHED + "# Computed by scripts/goldens/philox.py.\n"
    for counter, key in COMPUTED:
        c, k = words(counter, 4), words(key, 2)
        text += line(c, k, philox4x32_10(c, k))
    path = ROOT / "tensor" / "testdata" / "philox.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines, {len(text)} bytes")


if __name__ == "__main__":
    main()
