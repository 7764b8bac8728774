"""Mean over a box of two axes: sums down the columns, then along each row, fused so that the image is read and written once.

Integers: the sums down the columns slide exactly (one row in, one row out). Floats: sums of 2, 4, 8 .. rows are kept, so that
a window is a few additions and nothing is ever subtracted: no drift, and a NaN or an infinity stays inside its windows. Along
a row both add neighbours, then neighbours of those, and so on.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import border_index
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._row_ops import Vectors, row_op
from imrestore_kernels.cpu._vector import copy_bytes, data_address

Array = np.ndarray[Any, Any]

_border_index = inline(border_index)

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
        add = code.builder.fadd if target[0] == "f" else code.builder.add
        return add(code.widen(rows[0], target), code.widen(rows[1], target))

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
        return _unsigned(code, code.narrow(_divided(code, total, *scalars, by), dtype.str[1:]), dtype)

    scalars = {0: [types.uint16, types.uint16], 1: [types.float32, types.uint32], 2: [types.float64, types.uint32]}[by.way]
    sources = [source] if taps else [source, source]
    return row_op(sources, dtype.str[1:], 64 // np.dtype(wide).itemsize, emit, scalars, taps)


@inline
def _fill_border(buffer: Any, at: int, n: int, left: int, right: int, inner: int, mode: int, outside: Any) -> None:
    """Border of a row buffer whose ``n`` values start at ``at``, from those values."""
    pixels = n // inner
    for i in range(left * inner):
        j = _border_index(i // inner - left, pixels, mode)
        buffer[at - left * inner + i] = outside if j < 0 else buffer[at + j * inner + i % inner]
    for i in range(right * inner):
        j = _border_index(pixels + i // inner, pixels, mode)
        buffer[at + n + i] = outside if j < 0 else buffer[at + j * inner + i % inner]


@inline
def _row_address(src: Any, constant: Any, narrow: Any, slot: int, y: int, image: int, height: int, mode: int) -> int:
    """Address of row ``y`` of an image with its border; a row shorter than a vector is copied to ``narrow`` first."""
    n = src.shape[1]
    size = src.itemsize
    j = _border_index(y - image, height, mode)
    address = data_address(constant) if j < 0 else data_address(src) + (image + j) * n * size
    if narrow.size:
        width = narrow.size // 2
        copy_bytes(data_address(narrow) + slot * width * size, address, n * size)
        address = data_address(narrow) + slot * width * size
    return address


@lru_cache(maxsize=128)
def integer_kernel(dtype: np.dtype[Any], sums: str, by: Division, taps: int) -> Any:
    """Row kernel for 8- and 16-bit integers; ``taps`` is the window's width up to DIRECT, else 0."""
    total = "u2" if by.way == 0 else "u4"
    slide, enter = _slide(dtype, sums, True), _slide(dtype, sums, False)
    direct, finish = _finish(sums, dtype, by, max(taps, 1)), _finish(total, dtype, by, 0)
    double, plus, widen = _plus(sums, total), _plus(total, total), _convert(sums, total)
    sums_type, total_type = np.dtype(sums).type, np.dtype(total).type
    ssize, tsize, isize = np.dtype(sums).itemsize, np.dtype(total).itemsize, dtype.itemsize
    block = 64

    def mean_rows(
        src: Any, dst: Any, height: int, inner: int, size_y: int, size_x: int, mode: int, cval: Any, outside: Any, factor: Any,
        count: Any, start: int, stop: int,
    ) -> None:  # fmt: skip
        n = src.shape[1]
        wide = max(n, block)
        top, left = size_y // 2, size_x // 2
        right = size_x - 1 - left
        before = (left * inner + 63) // 64 * 64
        stride = before + wide + right * inner + 2 * block
        stride += -stride % 64
        columns = np.zeros(2 * stride + block, sums_type)  # two rows of column sums: the old and the new
        at0 = -data_address(columns) % 64 // ssize + before
        work = np.zeros(2 * stride if taps == 0 else 0, total_type)
        doubled, partial = data_address(work), data_address(work) + stride * tsize
        constant = np.empty(wide, src.dtype)
        constant[:] = cval
        narrow = np.empty(2 * block if n < block else 0, src.dtype)
        result = np.empty(block if n < block else 0, src.dtype)
        now = 0
        for y in range(start, stop):
            image = y // height * height
            now = 1 - now
            new = data_address(columns) + (at0 + now * stride) * ssize
            old = data_address(columns) + (at0 + (1 - now) * stride) * ssize
            if y == start or y == image:
                columns[at0 + (1 - now) * stride : at0 + (1 - now) * stride + wide] = 0
                for s in range(size_y):
                    row = _row_address(src, constant, narrow, 0, y - top + s, image, height, mode)
                    enter(wide, True, new, old, row)
                    if s < size_y - 1:
                        new, old, now = old, new, 1 - now
            else:
                entering = _row_address(src, constant, narrow, 0, y - top + size_y - 1, image, height, mode)
                leaving = _row_address(src, constant, narrow, 1, y - top - 1, image, height, mode)
                slide(wide, True, new, old, entering, leaving)
            _fill_border(columns, at0 + now * stride, n, left, right, inner, mode, outside)
            out = data_address(result) if n < block else data_address(dst) + y * n * isize
            row = new - left * inner * ssize
            if taps > 0:
                direct(wide, True, out, row, inner * ssize, factor, count)
            else:
                _along(wide, out, row, size_x, inner, doubled, partial, factor, count)
            if n < block:
                for x in range(n):
                    dst[y, x] = result[x]
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        columns[0] = work.size + constant.size + narrow.size + result.size

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


@lru_cache(maxsize=8)
def float_kernel(dtype: np.dtype[Any]) -> Any:
    """Row kernel for float32 and float64, summed in float64."""
    name = dtype.str[1:]
    convert, plus = _convert(name, "f8"), _plus("f8", "f8")

    def emit(code: Vectors, rows: list[Any], scalars: list[Any]) -> Any:
        total = code.builder.fadd(rows[0], rows[1]) if len(rows) > 1 else rows[0]
        return code.narrow(code.builder.fdiv(total, scalars[0]), name)

    finish_one = row_op(["f8"], name, 8, emit, [types.float64])
    finish_two = row_op(["f8", "f8"], name, 8, emit, [types.float64])
    isize = dtype.itemsize
    block = 8

    def mean_rows(
        src: Any, dst: Any, height: int, inner: int, size_y: int, size_x: int, mode: int, cval: Any, start: int, stop: int
    ) -> None:
        n = src.shape[1]
        wide = max(n, block)
        top, left = size_y // 2, size_x // 2
        right = size_x - 1 - left
        before = (left * inner + 7) // 8 * 8
        stride = before + wide + right * inner + 2 * block
        stride += -stride % 8 + 8 * (1 - (stride + (-stride % 8)) // 8 % 2)
        levels = 0
        while 2 << levels <= size_y:
            levels += 1
        # Level j keeps the last 2**j + 1 rows of sums of 2**j source rows; row i is in slot i modulo that.
        held = 0
        first_slot = np.empty(levels + 1, np.int64)
        for j in range(levels + 1):
            first_slot[j] = held
            held += (1 << j) + 1
        rings = np.zeros(held * stride + block, np.float64)
        rings_address = data_address(rings) + -data_address(rings) % 64
        buffers = np.zeros(3 * stride + block, np.float64)
        at = -data_address(buffers) % 64 // 8 + before
        columns = data_address(buffers) + at * 8
        doubled, partial = columns + (stride - before) * 8, columns + (2 * stride - before) * 8
        constant = np.empty(wide, src.dtype)
        constant[:] = cval
        narrow = np.empty(2 * block if n < block else 0, src.dtype)
        result = np.empty(block if n < block else 0, src.dtype)
        scale = float(size_y) * float(size_x)
        for y in range(start, stop):
            image = y // height * height
            fresh = size_y - 1 if y == start or y == image else 0
            for b in range(y - top + size_y - 1 - fresh, y - top + size_y):
                # Source row b enters, and with it the newest sum of every level (i counts from b, so it is >= 0).
                i = b + top + 1
                row = _row_address(src, constant, narrow, 0, b, image, height, mode)
                convert(wide, True, rings_address + (first_slot[0] + i % 2) * stride * 8, row)
                for j in range(levels):
                    half = 1 << j
                    ring = first_slot[j]
                    newest = rings_address + (ring + (i % (half + 1))) * stride * 8
                    older = rings_address + (ring + ((i - half) % (half + 1))) * stride * 8
                    target = rings_address + (first_slot[j + 1] + i % (2 * half + 1)) * stride * 8
                    plus(wide, False, target, older, newest)
            # The window: the largest power of two first, the remaining ones below it, down to its last row.
            i = y + size_y
            rest = size_y
            filled = False
            for j in range(levels, -1, -1):
                power = 1 << j
                if size_y & power:
                    rest -= power
                    slot = rings_address + (first_slot[j] + (i - rest) % (power + 1)) * stride * 8
                    if filled:
                        plus(wide, False, columns, columns, slot)
                    else:
                        copy_bytes(columns, slot, wide * 8)
                        filled = True
            _fill_border(buffers, at, n, left, right, inner, mode, float(cval) * size_y)
            out = data_address(result) if n < block else data_address(dst) + y * n * isize
            _along(wide, out, columns - left * inner * 8, size_x, inner, doubled, partial, scale)
            if n < block:
                for x in range(n):
                    dst[y, x] = result[x]
        buffers[0] = rings.size + constant.size + narrow.size + result.size  # keeps them alive until now

    @inline
    def _along(n: int, out: int, row: int, size_x: int, inner: int, doubled: int, partial: int, scale: float) -> None:
        """As for integers: sums of 1, 2, 4 .. neighbours, and of the powers of two that make up the width."""
        reach = n + (size_x - 1) * inner
        offset = size_x & 1
        power = 1
        source = row
        held = row  # the sum of the powers so far
        if size_x == 1:
            finish_one(n, True, out, row, scale)
            return
        while 2 * power <= size_x:
            step = power * inner
            plus(reach - step, False, doubled, source, source + step * 8)
            source = doubled
            reach -= step
            power *= 2
            if size_x & power:
                shifted = doubled + offset * inner * 8
                if 2 * power > size_x:
                    if offset == 0:
                        finish_one(n, True, out, shifted, scale)
                    else:
                        finish_two(n, True, out, held, shifted, scale)
                elif offset == 0:
                    copy_bytes(partial, shifted, n * 8)
                    held = partial
                else:
                    plus(n, False, partial, held, shifted)
                    held = partial
                offset += power

    value = from_dtype(dtype)
    return compile_rows(
        mean_rows, f"mean_{dtype}", types.Array(value, 2, "C", readonly=True), value[:, ::1],
        *[types.intp] * 5, value, types.intp, types.intp,
    )  # fmt: skip
