"""Mean of 8- and 16-bit integers over a box of two axes: sums down the columns, then along each row.

The sums down the columns slide exactly (one row in, one row out); along a row neighbours are added, then neighbours of those,
and so on. Both are fused, so that the image is read and written once.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import border_columns, fill_border, row_address, widened
from imrestore_kernels.cpu._row_ops import Vectors, row_op
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, new_numbers, smaller

#: Windows up to this many columns are summed directly from the row buffer, wider ones by doubling.
DIRECT = 8


class Division(NamedTuple):
    """How a sum becomes a mean, rounded half to even.

    ``way`` 0: (sum + half) * factor >> 16 >> shift in 16 bits; 1: float32; 2: float64. ``factor`` is the multiplier or the
    reciprocal; ``even`` says that ties occur.
    """

    way: int
    factor: float
    shift: int
    even: bool


@lru_cache(maxsize=256)
def division(count: int, itemsize: int) -> Division:
    """The cheapest exact way to divide sums of ``count`` pixels of 1 or 2 bytes."""
    even = count % 2 == 0
    if itemsize == 1 and 255 * count + count // 2 < 1 << 16:
        sums = np.arange(255 * count + count // 2 + 1)
        for shift in range(8):
            factor = -(-(1 << 16 + shift) // count)
            if factor < 1 << 16 and (sums * factor >> 16 + shift == sums // count).all():
                return Division(0, factor, shift, even)
    # A mean m is at least 1 / (2 count) away from a tie it is not on. float32 holds sums below 2**24 exactly and their
    # product with the rounded reciprocal is within 3 * 2**-24 * m.
    if itemsize == 1 and 6 * 255 * count < 1 << 24:
        return Division(1, 1.0 / count, 0, even)
    return Division(2, 1.0 / count, 0, even)


def _unsigned(code: Vectors, value: Any, dtype: np.dtype[Any]) -> Any:
    """Signed pixels with an offset: x ^ 0x80 is x + 128, and the mean moves by an even number."""
    if dtype.kind == "u":
        return value
    return code.builder.xor(value, code.constant(dtype.str[1:], -(1 << 8 * dtype.itemsize - 1)))


@cache
def _slide(dtype: np.dtype[Any], sums: str, leaving: bool) -> Any:
    """New column sums: the old ones plus the row that enters, minus the row that leaves."""

    def emit(code: Vectors, rows: list[Any], _scalars: list[Any]) -> Any:
        total = code.builder.add(rows[0], code.widen(_unsigned(code, rows[1], dtype), sums))
        return code.builder.sub(total, code.widen(_unsigned(code, rows[2], dtype), sums)) if leaving else total

    name = dtype.str[1:]
    return row_op([sums, name, name] if leaving else [sums, name], sums, 64 // np.dtype(sums).itemsize, emit)


@cache
def _plus(source: str, target: str) -> Any:
    """Sum of two rows, in a wider dtype if the target is."""

    def emit(code: Vectors, rows: list[Any], _scalars: list[Any]) -> Any:
        return code.builder.add(code.widen(rows[0], target), code.widen(rows[1], target))

    return row_op([source, source], target, 64 // np.dtype(target).itemsize, emit)


@cache
def _convert(source: str, target: str) -> Any:
    """A row in a wider dtype."""
    return row_op([source], target, 64 // np.dtype(target).itemsize, lambda code, rows, _: code.widen(rows[0], target))


def _divided(code: Vectors, total: Any, factor: Any, count: Any, by: Division) -> Any:
    b = code.builder
    if by.way == 0:
        raised = b.add(total, b.lshr(count, code.constant("u2", 1)))
        product = b.mul(code.widen(raised, "u4"), code.widen(factor, "u4"))
        high = code.narrow(b.lshr(product, code.constant("u4", 16)), "u2")
        mean = b.lshr(high, code.constant("u2", by.shift))
        if by.even:  # a tie was rounded up: make it even
            tie = b.icmp_unsigned("==", b.mul(mean, count), raised)
            mean = b.sub(mean, b.select(tie, b.and_(mean, code.constant("u2", 1)), code.constant("u2", 0)))
        return mean
    number = code.kind("f4" if by.way == 1 else "f8")
    floating = b.sitofp(total, number) if by.way == 1 else b.uitofp(total, number)
    mean = b.fptosi(code.rint(b.fmul(floating, factor)), code.kind("u4"))
    if by.even:  # the product may lie on either side of a tie: the remainder tells
        rest = b.shl(b.sub(total, b.mul(mean, count)), code.constant("u4", 1))
        odd = b.and_(mean, code.constant("u4", 1))
        none = code.constant("u4", 0)
        up = b.select(b.icmp_unsigned("==", rest, count), odd, none)
        down = b.select(b.icmp_unsigned("==", rest, b.neg(count)), odd, none)
        mean = b.sub(b.add(mean, up), down)
    return mean


@cache
def _finish(source: str, dtype: np.dtype[Any], by: Division, taps: int) -> Any:
    """Sum of a row at ``taps`` shifts (or of two rows, if 0), divided, rounded and narrowed to the image's dtype."""
    wide = "u2" if by.way == 0 else "u4"

    def emit(code: Vectors, rows: list[Any], scalars: list[Any]) -> Any:
        total = code.widen(rows[0], wide)
        for row in rows[1:]:
            total = code.builder.add(total, code.widen(row, wide))
        return _unsigned(code, code.narrow(_divided(code, total, scalars[0], scalars[1], by), dtype.str[1:]), dtype)

    scalars = {0: [types.uint16, types.uint16], 1: [types.float32, types.uint32], 2: [types.float64, types.uint32]}[by.way]
    sources = [source] if taps else [source, source]
    return row_op(sources, dtype.str[1:], 64 // np.dtype(wide).itemsize, emit, scalars, taps)


@lru_cache(maxsize=128)
def integer_kernel(dtype: np.dtype[Any], sums: str, by: Division, taps: int) -> Any:
    """Row kernel for 8- and 16-bit integers; ``taps`` is the window's width up to DIRECT, else 0."""
    total = "u2" if by.way == 0 else "u4"
    slide, enter = _slide(dtype, sums, True), _slide(dtype, sums, False)
    direct, finish = _finish(sums, dtype, by, max(taps, 1)), _finish(total, dtype, by, 0)
    double, plus, widen = _plus(sums, total), _plus(total, total), _convert(sums, total)
    new_sums, new_totals, new_values = map(allocator, (sums, total, dtype))
    ssize, tsize, isize = np.dtype(sums).itemsize, np.dtype(total).itemsize, dtype.itemsize
    block = 64

    def mean_rows(
        src: Any, dst: Any, height: int, inner: int, size_y: int, size_x: int, mode: int, cval: Any, outside: Any, factor: Any,
        count: Any, start: int, stop: int,
    ) -> None:  # fmt: skip
        n = src.shape[1]
        wide = larger(n, block)
        row_bytes = n * isize
        top, left = size_y // 2, size_x // 2
        right = size_x - 1 - left
        stride = wide + (left + right) * inner + 2 * block
        stride += -stride % 64
        columns = new_sums(2 * stride + block)  # two rows of column sums: the old and the new
        at0 = -(data_address(columns) // ssize + left * inner) % (64 // ssize)  # the image starts on a cache line
        work = new_totals(2 * stride if taps == 0 else 0)
        doubled, partial = data_address(work), data_address(work) + stride * tsize
        edges = new_numbers(2 * (left + right) * inner)
        border_columns(n, left, right, inner, mode, edges)
        constant = new_values(wide if mode == CONSTANT else 0)
        constant[:] = cval
        narrow = new_values(3 * block if n < block else 0)
        slots = data_address(narrow) if n < block else 0
        slot_bytes = block * isize if n < block else 0
        now = 0
        y = start
        while y < stop:
            image = y // height * height
            base = data_address(src) + image * row_bytes
            last = smaller(stop, image + height)
            fresh = True
            while y < last:
                i = y - image - top
                now = 1 - now
                new = data_address(columns) + (at0 + left * inner + now * stride) * ssize
                old = data_address(columns) + (at0 + left * inner + (1 - now) * stride) * ssize
                if fresh:
                    fresh = False
                    first = at0 + left * inner + (1 - now) * stride
                    columns[first : first + wide] = 0
                    for s in range(size_y):
                        row = row_address(base, row_bytes, i + s, height, mode, data_address(constant))
                        enter(wide, True, new, old, widened(row, row_bytes, slots))
                        if s < size_y - 1:
                            new, old, now = old, new, 1 - now
                else:
                    entering = row_address(base, row_bytes, i + size_y - 1, height, mode, data_address(constant))
                    leaving = row_address(base, row_bytes, i - 1, height, mode, data_address(constant))
                    entering = widened(entering, row_bytes, slots)
                    leaving = widened(leaving, row_bytes, slots + slot_bytes)
                    slide(wide, True, new, old, entering, leaving)
                fill_border(columns, at0 + now * stride, edges, outside)
                out = slots + 2 * slot_bytes if n < block else data_address(dst) + y * row_bytes
                row = new - left * inner * ssize
                if taps > 0:
                    direct(wide, True, out, row, inner * ssize, factor, count)
                else:
                    _along(wide, out, row, size_x, inner, doubled, partial, factor, count)
                if n < block:
                    copy_bytes(data_address(dst) + y * row_bytes, out, row_bytes)
                y += 1
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        columns[0] = work.size + constant.size + narrow.size

    @inline
    def _along(
        n: int, out: int, row: int, size_x: int, inner: int, doubled: int, partial: int, factor: Any, count: Any
    ) -> None:
        """Sums of ``size_x`` neighbours: of 1, 2, 4 .. by doubling, and of the powers of two that make up the width."""
        reach = n + (size_x - 1) * inner
        offset = 0
        power = 1
        if size_x & 1:
            widen(n, False, partial, row)
            offset = 1
        while 2 * power <= size_x:
            step = power * inner
            if power == 1:
                double(reach - step, False, doubled, row, row + step * ssize)
            else:
                plus(reach - step, False, doubled, doubled, doubled + step * tsize)
            reach -= step
            power *= 2
            if size_x & power:
                shifted = doubled + offset * inner * tsize
                if 2 * power > size_x:
                    if offset == 0:
                        widen_total(n, False, partial, shifted)
                        direct_total(n, True, out, shifted, 0, factor, count)
                    else:
                        finish(n, True, out, partial, shifted, factor, count)
                elif offset == 0:
                    widen_total(n, False, partial, shifted)
                else:
                    plus(n, False, partial, partial, shifted)
                offset += power

    widen_total, direct_total = _convert(total, total), _finish(total, dtype, by, 1)
    value = from_dtype(dtype)
    scalars = {0: [types.uint16, types.uint16], 1: [types.float32, types.uint32], 2: [types.float64, types.uint32]}[by.way]
    return compile_rows(
        mean_rows, f"mean_{dtype}_{sums}_way{by.way}_shift{by.shift}_even{by.even}_taps{taps}",
        types.Array(value, 2, "C", readonly=True), value[:, ::1], *[types.intp] * 5, value, from_dtype(np.dtype(sums)),
        *scalars, types.intp, types.intp,
    )  # fmt: skip
