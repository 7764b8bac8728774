"""The smallest of many whole numbers, sorted, as vector code: candidates of a reference patch are collected here.

A list is ``size`` numbers in order and a bin for as many more in any order, which is merged into the list when it is full. For
lists of 32, bins take 211 of 1521 candidates in random order and six merges of 280 instructions; inserting each candidate that is
smaller than the last of the list would take 156 insertions, and every one is a wrong guess of the processor.
"""

from __future__ import annotations

from imrestore_kernels.cpu._vector_text import VectorText

LANES = 8
INTEGERS = f"<{LANES} x i32>"
MOST = 2**31 - 1

DECLARATIONS = (
    f"declare {INTEGERS} @llvm.smax.v8i32({INTEGERS}, {INTEGERS})\n"
    f"declare {INTEGERS} @llvm.smin.v8i32({INTEGERS}, {INTEGERS})\n"
)


def merge(text: VectorText, size: int) -> None:
    """``merge(list, last, count)``: the bin into the list; the bin is then empty, and ``last`` the largest number of the list."""
    text.function("merge", ("ptr %list", "ptr %last", "ptr %count"))
    own, more = ([_load(text, first + i) for i in range(size // LANES)] for first in (0, size // LANES))
    more = _sorted(text, more)
    # Both in order, one of them turned round: the smaller ones of each pair are the smallest of all, first rising, then falling.
    smallest = [_least(text, a, b) for a, b in zip(own, more, strict=True)]
    stride = size // 2
    while stride:
        smallest = _exchanged(text, smallest, stride, 2 * size, down=False)
        stride //= 2
    for i, value in enumerate(smallest):
        _store(text, value, i)
        _store(text, f"splat (i32 {MOST})", size // LANES + i)
    text.add(f"  store i32 {text.value(f'extractelement {INTEGERS} {smallest[-1]}, i64 {LANES - 1}')}, ptr %last")
    text.add("  store i32 0, ptr %count\n  ret void\n}")


def _load(text: VectorText, i: int) -> str:
    return text.value(f"load {INTEGERS}, ptr {text.at('%list', 4 * LANES * i)}, align 32")


def _store(text: VectorText, value: str, i: int) -> None:
    text.add(f"  store {INTEGERS} {value}, ptr {text.at('%list', 4 * LANES * i)}, align 32")


def _sorted(text: VectorText, vectors: list[str]) -> list[str]:
    """Largest first, by Batcher's bitonic sorter."""
    size = 2
    while size <= LANES * len(vectors):
        stride = size // 2
        while stride:
            vectors = _exchanged(text, vectors, stride, size, down=True)
            stride //= 2
        size *= 2
    return vectors


def _exchanged(text: VectorText, vectors: list[str], stride: int, size: int, down: bool) -> list[str]:
    """Numbers ``stride`` apart in order: every second run of ``size`` numbers rises, the others fall, or the other way round."""

    def smaller_first(i: int) -> bool:
        return bool(i & size) == down

    result = list(vectors)
    if stride >= LANES:
        step = stride // LANES
        for i in range(len(vectors)):
            if not i & step:
                pair = [_least(text, vectors[i], vectors[i + step]), _largest(text, vectors[i], vectors[i + step])]
                result[i], result[i + step] = pair if smaller_first(i * LANES) else pair[::-1]
        return result
    for i, vector in enumerate(vectors):
        other = _mixed(text, vector, vector, [lane ^ stride for lane in range(LANES)])
        least, largest = _least(text, vector, other), _largest(text, vector, other)
        takes_least = [(lane & stride == 0) == smaller_first(i * LANES + lane) for lane in range(LANES)]
        result[i] = _mixed(text, least, largest, [lane if take else LANES + lane for lane, take in enumerate(takes_least)])
    return result


def _mixed(text: VectorText, a: str, b: str, places: list[int]) -> str:
    mask = ", ".join(f"i32 {p}" for p in places)
    return text.value(f"shufflevector {INTEGERS} {a}, {INTEGERS} {b}, <{LANES} x i32> <{mask}>")


def _least(text: VectorText, a: str, b: str) -> str:
    return text.value(f"call {INTEGERS} @llvm.smin.v8i32({INTEGERS} {a}, {INTEGERS} {b})")


def _largest(text: VectorText, a: str, b: str) -> str:
    return text.value(f"call {INTEGERS} @llvm.smax.v8i32({INTEGERS} {a}, {INTEGERS} {b})")
