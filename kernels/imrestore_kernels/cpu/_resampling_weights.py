"""Which samples a resampled one is a sum of, and their weights: tables for one axis, and those of its transpose.

For a result x at u = (x + 1/2) / scale - 1/2 and a kernel h of half width r, stretched by s = max(1, 1 / scale) if it is to smooth,
the weights are h((v - u) / s) for the samples v in (u - r s, u + r s], divided by their sum. Area: the part of v .. v + 1 that lies
in x / scale .. (x + 1) / scale. All in float64, each operation rounded; ``cuda/resizing.cu`` does the same.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu import _elementary
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._resampling_text import GROUP

Array = np.ndarray[Any, Any]

NEAREST, BILINEAR, BICUBIC, LANCZOS3, AREA, LANCZOS2 = range(6)

#: Half width of the kernels; that of the others is not asked for.
RADII = {BILINEAR: 1, BICUBIC: 2, LANCZOS3: 3, LANCZOS2: 2}

#: Distances below this are rounding: a coordinate so near to a whole number is meant to be it.
SLACK = 1e-9


class Request(NamedTuple):
    """One axis: samples, results, results per sample, method, the slope of the cubic, whether to smooth, border rule."""

    length: int
    out: int
    scale: float
    method: int
    slope: float
    smooth: bool
    mode: int


class Axis(NamedTuple):
    """Tables as `_resampling_text.Field` describes them; ``sources`` is its `INDEX`."""

    starts: Array
    segments: Array
    weights: Array
    sources: Array
    groups: Array
    low: int
    high: int
    most: int
    addresses: tuple[int, ...]  # of the tables, in this order

    @classmethod
    def of(cls, starts: Array, segments: Array, weights: Array, index: Array, low: int) -> Axis:
        """With what follows from these tables."""
        taps = segments[1::3]
        tables = (starts, segments, weights, index, _groups(starts, taps))
        addresses = tuple(int(array.__array_interface__["data"][0]) for array in tables)
        return cls(*tables, low, low + len(index), int(taps.max()), addresses)


_floor: Any = _elementary.floor
_sincos: Any = _elementary.sincos


@inline
def _snapped(x: Any) -> Any:
    near = _floor(x + 0.5)
    distance = x - near
    return near if -SLACK < distance < SLACK else x


@inline
def _first(x: Any, scale: float, method: int, radius: float) -> Any:
    """First sample of result ``x``, whose kernel reaches ``radius`` samples."""
    if method == 0:
        return _floor(x / scale + SLACK)
    if method == 4:
        return _floor(_snapped(x / scale))
    return _floor((x + 0.5) / scale - 0.5 - radius) + 1.0


@inline
def _taps(x: Any, scale: float, method: int, radius: float) -> Any:
    if method == 0:
        return 1.0
    if method == 4:
        return -_floor(-_snapped((x + 1.0) / scale)) - _floor(_snapped(x / scale))
    return -_floor(SLACK - 2.0 * radius)


@inline
def _kernel(d: Any, method: int, slope: float) -> Any:
    """Weight at a distance, in units of the kernel."""
    t = -d if d < 0.0 else d
    if method == 1:
        return 1.0 - t if t < 1.0 else 0.0
    if method == 2:
        near = (((slope + 2.0) * t - (slope + 3.0)) * t) * t + 1.0
        far = slope * ((((t - 5.0) * t) + 8.0) * t - 4.0)
        return near if t <= 1.0 else far if t < 2.0 else 0.0
    lobes = 3.0 if method == 3 else 2.0
    wave, _ = _sincos(0.5 * t)
    window, _ = _sincos(t / (2.0 * lobes))
    value = (lobes * wave * window) / (9.869604401089358 * (t * t))
    return 1.0 if t == 0.0 else value if t < lobes else 0.0


@inline
def _weight(v: Any, x: float, scale: float, method: int, slope: float, stretch: float) -> Any:
    """Of sample ``v`` in result ``x``, before they are divided by their sum."""
    if method == 0:
        return 1.0
    if method == 4:
        begin, end = _snapped(x / scale), _snapped((x + 1.0) / scale)
        begin, end = v if v > begin else begin, v + 1.0 if v + 1.0 < end else end
        return end - begin if end > begin else 0.0
    return _kernel((v - ((x + 0.5) / scale - 0.5)) / stretch, method, slope)


@cache
def weights_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over results: segments of one each, and weights of up to ``most`` each."""
    real = np.float32 if dtype.itemsize == 4 else np.float64

    def rows(
        segments: Any, weights: Any, raw: Any, most: int, scale: float, method: int, slope: float, stretch: float, radius: float,
        row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        for x in range(row_start, row_stop):
            at = x + 0.0
            first, taps = _first(at, scale, method, radius), int(_taps(at, scale, method, radius))
            total = 0.0
            for k in range(taps):
                raw[k] = _weight(first + k, at, scale, method, slope, stretch)
                total += raw[k]
            for k in range(taps):
                weights[x * most + k] = real(raw[k] / total)
            segments[3 * x], segments[3 * x + 1], segments[3 * x + 2] = int(first), taps, x * most

    whole, number = types.int64[::1], types.float64
    signature = (whole, from_dtype(dtype)[::1], number[::1], types.intp, number, types.intp, *[number] * 3, *[types.intp] * 2)
    return compile_rows(rows, f"resampling_weights_{dtype}", *signature)


@cache
def transpose_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over extended samples: the results that each takes part in, and its weights there.

    ``spans`` gets the first result, their number and the place of the weights; ``ends`` is where the weights end.
    """

    def rows(segments: Any, weights: Any, out: int, low: int, spans: Any, moved: Any, row_start: int, row_stop: int) -> None:
        first, place = 0, 0
        for n in range(row_start, row_stop):
            v = low + n
            while first < out and segments[3 * first] + segments[3 * first + 1] <= v:
                first += 1
            x = first
            while x < out and segments[3 * x] <= v:
                moved[place + x - first] = weights[segments[3 * x + 2] + v - segments[3 * x]]
                x += 1
            spans[3 * n], spans[3 * n + 1], spans[3 * n + 2] = first, x - first, place
            place += x - first

    whole, real = types.int64[::1], from_dtype(dtype)[::1]
    return compile_rows(rows, f"resampling_transpose_{dtype}", whole, real, *[types.intp] * 2, whole, real, *[types.intp] * 2)


@cache
def index_kernel() -> Any:
    """Kernel over extended samples: the samples that they are taken from."""

    def rows(index: Any, low: int, length: int, mode: int, row_start: int, row_stop: int) -> None:
        for n in range(row_start, row_stop):
            index[n] = inside_index(low + n, length, mode)

    return compile_rows(rows, "resampling_index", types.int64[::1], *[types.intp] * 5)


@lru_cache(maxsize=256)
def forward(request: Request, dtype: np.dtype[Any]) -> Axis:
    """Tables of an axis; kept, since batches often ask for one scale."""
    length, out, scale, method, slope, smooth, mode = request
    stretch = 1.0 / scale if smooth and scale < 1.0 else 1.0
    radius = RADII.get(method, 0) * stretch
    most = 1 if method == NEAREST else math.ceil(1.0 / scale) + 2 if method == AREA else math.ceil(2.0 * radius)
    segments, weights = np.empty(3 * out, np.int64), np.empty(most * out, dtype)
    weights_kernel(dtype)(segments, weights, np.empty(most), most, scale, method, slope, stretch, radius, 0, out)
    low, high = int(segments[0]), int(segments[-3] + segments[-2])
    index = np.empty(high - low, np.int64)
    index_kernel()(index, low, length, mode, 0, high - low)
    return Axis.of(np.arange(out + 1), segments, weights, index, low)


@lru_cache(maxsize=256)
def transposed(request: Request, dtype: np.dtype[Any]) -> Axis:
    """Tables of the transpose: every sample's own segment, then those of samples outside that are taken from it, in their order."""
    axis = forward(request, dtype)
    length, out = request.length, request.out
    low, high = min(axis.low, 0), max(axis.high, length)
    spans, moved = np.empty(3 * (high - low), np.int64), np.empty(max(int(axis.segments[1::3].sum()), 1), dtype)
    transpose_kernel(dtype)(axis.segments, axis.weights, out, low, spans, moved, 0, high - low)
    index = np.empty(high - low, np.int64)
    index_kernel()(index, low, length, request.mode, 0, high - low)
    own = np.arange(length) - low
    outside = np.concatenate([np.arange(-low), np.arange(length - low, high - low)])
    outside = outside[(index[outside] >= 0) & (spans[1::3][outside] > 0)]
    samples, targets = np.concatenate([own, outside]), np.concatenate([np.arange(length), index[outside]])
    samples = samples[np.argsort(targets, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=length))])
    segments = np.ascontiguousarray(spans.reshape(-1, 3)[samples]).ravel()
    return Axis.of(starts, segments, moved, np.arange(out), 0)


def _groups(starts: Array, taps: Array) -> Array:
    """Taps of every group of results that have one segment each and as many taps, else -1."""
    whole = (len(starts) - 1) // GROUP * GROUP
    first = starts[:whole].reshape(-1, GROUP)
    single = starts[GROUP : whole + 1 : GROUP] - first[:, 0] == GROUP if whole else np.zeros(0, bool)
    given = taps[first]
    return np.where(single & (given == given[:, :1]).all(axis=1), given[:, 0], -1)
