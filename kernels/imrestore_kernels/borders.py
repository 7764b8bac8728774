"""The border rule, stated once.

A sample outside ``0 .. n-1`` takes its value from ``border_index(i, n, mode)``, or is ``cval`` where that is -1.
The formula holds for any distance outside and for ``n == 1``. The CPU kernels compile this very function; the CUDA
header ``cuda/borders.cuh`` spells the same formula in C and the tests compare the two sample by sample.

========  ====  =============================
name      mode  samples (n = 4)
========  ====  =============================
reflect   0     d c b a | a b c d | d c b a
mirror    1     c d c b | a b c d | c b a b
nearest   2     a a a a | a b c d | d d d d
wrap      3     a b c d | a b c d | a b c d
constant  4     k k k k | a b c d | k k k k
========  ====  =============================
"""

from __future__ import annotations

REFLECT, MIRROR, NEAREST, WRAP, CONSTANT = range(5)

#: scipy.ndimage's names, with its ``grid-*`` aliases where they mean the same.
MODES: dict[str, int] = {
    "reflect": REFLECT,
    "mirror": MIRROR,
    "nearest": NEAREST,
    "wrap": WRAP,
    "constant": CONSTANT,
    "grid-mirror": REFLECT,
    "grid-wrap": WRAP,
    "grid-constant": CONSTANT,
}


def border_index(i: int, n: int, mode: int) -> int:
    """Index inside ``0 .. n-1`` that sample ``i`` takes its value from; -1 means the constant."""
    if 0 <= i < n:
        return i
    if mode == NEAREST:
        return 0 if i < 0 else n - 1
    if mode == CONSTANT:
        return -1
    if mode == WRAP:
        return i % n  # floor modulo: never negative
    if mode == REFLECT:
        m = i % (2 * n)
        return m if m < n else 2 * n - 1 - m
    if n == 1:  # mirror of a single sample
        return 0
    m = i % (2 * n - 2)
    return m if m < n else 2 * n - 2 - m
