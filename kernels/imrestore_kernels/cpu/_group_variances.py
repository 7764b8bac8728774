"""Variances of the coefficients of a group where they differ, as vector code; see `imrestore_kernels.bm3d_noise`.

Every pair of patches belongs to one node of Haar's tree: the smallest run of patches that has both, one in each half. With T
the variance of the sum over a run and S the covariance of its halves, T = T(left) + T(right) + 2 S, and the difference of the
halves has the variance T(left) + T(right) - 2 S: every pair is looked up once.
"""

from __future__ import annotations

from imrestore_kernels.bm3d_profiles import SIDE
from imrestore_kernels.cpu._vector_text import Number, VectorText

_ROWS = 4 * SIDE * SIDE
#: A variance is at least this part of that of unrelated patches: rounding must not make it negative.
_LEAST = 2.0**-20


def variances(text: VectorText, local: bool, correlated: bool, count: int) -> None:
    """``variances_K(local, offsets, links, table, out)``: of all coefficients as `haar` leaves them, not scaled.

    Patch i has the variance at ``local`` + offset i; covariances of patches i and j are at ``table`` + link j - link i.
    """
    text.function(f"variances_{count}", ("ptr %local", "ptr %offsets", "ptr %links", "ptr %table", "ptr %out"))
    own = [_variance(text, i) for i in range(count)] if local else []
    roots = [text.value(f"call float @llvm.sqrt.f32(float {v})") for v in own] if local and correlated else []
    links = [text.number(f"load i64, ptr {text.at('%links', 8 * i)}") for i in range(count)] if correlated else []
    with text.loop(0, SIDE) as row:
        at = row * text.bytes
        table = text.where("%table", at)

        def keep(value: str, n: int, at: Number = at) -> None:
            text.store(value, "%out", str(at + n * _ROWS))

        def covariance(first: int, middle: int, last: int, table: str = table) -> str:
            total = ""
            for i in range(first, middle):
                part = ""
                for j in range(middle, last):
                    value = text.load(table, str(links[j] - links[i]))
                    if not local:
                        part = text.op("fadd", part, value) if part else value
                        continue
                    root = _splat(text, roots[j])
                    part = text.fma(value, root, part) if part else text.op("fmul", value, root)
                part = text.op("fmul", part, _splat(text, roots[i])) if local else part
                total = text.op("fadd", total, part) if total else part
            return total

        def run(first: int, last: int, table: str = table) -> str:
            """Variance of the sum over patches first .. last - 1; those of the differences inside are kept."""
            if last - first == 1:
                value = text.load(table) if correlated else ""
                if not local:
                    return value
                return text.op("fmul", value, _splat(text, own[first])) if value else _splat(text, own[first])
            middle = (first + last) // 2
            apart = text.op("fadd", run(first, middle), run(middle, last))
            if not correlated:
                keep(apart, middle)
                return apart
            twice = text.op("fmul", covariance(first, middle, last), text.constant(2.0))
            least = text.op("fmul", apart, text.constant(_LEAST))
            keep(text.larger(text.op("fsub", apart, twice), least), middle)
            return text.larger(text.op("fadd", apart, twice), least)

        keep(run(0, count), 0)
    text.add("  ret void\n}")


def _variance(text: VectorText, i: int) -> str:
    offset = text.number(f"load i64, ptr {text.at('%offsets', 8 * i)}")
    return text.value(f"load float, ptr {text.where('%local', offset)}")


def _splat(text: VectorText, number: str) -> str:
    first = text.value(f"insertelement {text.vector} poison, float {number}, i64 0")
    return text.value(f"shufflevector {text.vector} {first}, {text.vector} poison, <{text.lanes} x i32> zeroinitializer")
