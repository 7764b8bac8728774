"""BM3D, on the CPU: the stages of `imrestore_kernels.bm3d_profiles`."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from imrestore_kernels import bm3d_deblur
from imrestore_kernels.bm3d_driver import Backend, Progress, Request, restore
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SIDE, Profile, Stage, Wiener, limit_of, rows_of_strip, shifts, window_of
from imrestore_kernels.cpu._block_groups import Field, Program, stage_kernel
from imrestore_kernels.cpu._block_match import NOBODY, Matching
from imrestore_kernels.cpu._group_filter import PATCH_BYTES, Filtering, Numbers
from imrestore_kernels.cpu._patch_steps import row_norms
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._sorted_lists import LANES
from imrestore_kernels.cpu._text_kernel import ALLOCATE, RELEASE
from imrestore_kernels.cpu.gaussian import gaussian

Array = np.ndarray[Any, Any]

#: Nanoseconds of a pair of patches, and of a patch in a group.
_PAIR, _PATCH = 1.7, 120.0


def bm3d(
    src: Array, dst: Array, request: Request, basic: Array | None, where: Array | None = None, pad_counts: bool = True
) -> None:
    """BM3D of images (.., H, W, C); ``basic`` gets the first stage's result. The contract is in ``kernels/README.md``."""
    del pad_counts  # patches lie inside the image
    restore(Backend(np, run_stage, hold, gaussian), request, src, dst, where, basic)


def deconvolve(
    src: Array,
    dst: Array,
    psf: Array,
    sigmas: tuple[float, ...],
    profile: Profile,
    periodic: bool,
    progress: Progress,
    where: None = None,
    pad_counts: bool = True,
) -> None:
    """Images (.., H, W, C) without the blur of ``psf`` and the noise of ``sigmas``."""
    del where, pad_counts  # a spectrum is one of all samples
    bm3d_deblur.deconvolve(Backend(np, run_stage, hold, gaussian), src, dst, psf, sigmas, profile, periodic, progress)


def hold(planes: Array) -> Array:
    """Planes in rows of the length that both stages want: one copy instead of one for each."""
    width = planes.shape[2]
    return _with_pitch(planes, _pitch(width))[..., :width]


def run_stage(
    stage: Stage, image: Array, guide: Array | None, noise: Noise, progress: Progress = None
) -> Array:
    """One stage on float32 planes (C, H, W); ``progress`` hears from time to time which part of it is done."""
    m = Matching(stage.step, stage.group, stage.window)
    correlated = noise.correlation is not None
    kernel = stage_kernel(Program(m, Filtering.of(stage, noise.local is not None, correlated)))
    planes, height, width = image.shape
    (ys, regular), (xs, _) = _tiles(height, m.step, m.rows), _tiles(width, m.step, m.columns)
    strips = _strips(len(ys), regular, m)
    pitch = _pitch(width)
    num, den = _planes((planes, height, pitch), 0), _planes((planes, height, pitch), 2048)
    dy, dx = np.array(shifts(m.window)).T
    table, reach = np.zeros((1, 1, 1, 1, 1), np.float32), 0
    if correlated:
        table, reach = _covariances(noise.correlation, noise.variances, noise.local is not None)
    numbers = np.zeros(len(Field), np.int64)
    numbers[Field.PLANES], numbers[Field.HEIGHT], numbers[Field.WIDTH] = image.shape
    numbers[Field.LINE], numbers[Field.COLUMN_TILES] = 4 * pitch, len(xs)
    numbers[Field.SHIFTS], numbers[Field.LIMIT] = len(dy), limit_of(stage, noise.variances[0])
    numbers[Field.TABLE] = table[0].nbytes
    numbers[Field.ALLOCATE], numbers[Field.RELEASE] = ALLOCATE, RELEASE
    moves, turns = _by_shift((dy * pitch + dx) * 4), _by_shift((dy * (2 * reach + 1) + dx) * PATCH_BYTES)
    tables = (_offsets(m), moves, turns, _numbers(stage, noise), table[:, reach:, reach:])
    image = _with_pitch(image, pitch)
    matched = image if guide is None else _with_pitch(guide, pitch)
    local = np.zeros((1, 1, 1), np.float32) if noise.local is None else _with_pitch(noise.local, pitch, height)
    args = (image, matched, matched[0], num, den, local, strips, ys, xs, *tables, np.array([stage.match * SIDE * SIDE], np.float32))
    work = (len(dy) * _PAIR + stage.group * _PATCH * planes) * height * width / m.step**2
    parts = 8 if progress else 1
    for i in range(2 * parts):  # all even strips, then all odd ones
        half, part = divmod(i, parts)
        count = (len(strips) + 1 - half) // 2
        start, stop = count * part // parts, count * (part + 1) // parts
        if stop > start:
            numbers = numbers.copy()
            numbers[Field.FIRST] = half + 2 * start
            run_rows(kernel, (*args[:6], numbers, *args[6:]), stop - start, work * (stop - start) / len(strips))
        if progress:
            progress((i + 1) / (2 * parts))
    return np.divide(num[..., :width], den[..., :width], out=np.empty_like(num)[..., :width])


def _tiles(length: int, step: int, most: int) -> tuple[Array, int]:
    """Tiles of references along an axis, (first pixel, references), and how many are on the grid: one that is not stands last."""
    on_grid = (length - SIDE) // step + 1
    tiles = [(i * step, min(most, on_grid - i)) for i in range(0, on_grid, most)]
    regular = len(tiles)
    if (length - SIDE) % step:
        tiles.append((length - SIDE, 1))
    return np.array(tiles, np.int64), regular


def _strips(count: int, regular: int, m: Matching) -> Array:
    """Row tiles (first, end) of each strip; row tiles off the grid are in the last."""
    per = rows_of_strip(m.step, m.window) // m.rows
    strips = [(i, min(i + per, regular)) for i in range(0, regular, per)]
    strips[-1] = (strips[-1][0], count)
    return np.array(strips, np.int64)


@lru_cache(maxsize=16)
def _offsets(m: Matching) -> Array:
    return m.offsets()


def _numbers(stage: Stage, noise: Noise) -> Array:
    """For each plane what `Numbers` says, on cache lines."""
    varied = noise.local is not None or noise.correlation is not None
    wiener = isinstance(stage, Wiener)
    norms = np.outer(row_norms(stage.transform), row_norms(stage.transform))
    given = np.zeros((len(noise.variances), Numbers.COUNT, LANES), np.float32)
    for plane, variance in zip(given, noise.variances, strict=True):
        plane[Numbers.WINDOW : Numbers.MEAN] = window_of(stage.beta)
        plane[Numbers.MEAN : Numbers.LIMITS] = 0 if wiener else 1
        plane[Numbers.MEAN, 0] = 1 if wiener else 0
        known = 1.0 if varied else variance
        for i, at in enumerate(range(Numbers.LIMITS, Numbers.SCALES, SIDE)):
            # Coefficients of 2**i patches are the root of that times larger than those of an orthonormal transform.
            squares = known * 2.0**i * norms**2
            if isinstance(stage, Wiener):
                limits = stage.noise * squares
            else:
                limits = stage.threshold**2 * squares if varied else stage.threshold * np.sqrt(squares)
            plane[at : at + SIDE] = limits
        if isinstance(stage, Wiener) and stage.share > 0:
            _adaptive_numbers(plane, stage, norms, known)
    return _aligned(given)


def _adaptive_numbers(plane: Array, stage: Wiener, norms: Array, variance: float) -> None:
    share = stage.share
    plane[Numbers.SCALES : Numbers.RETURNS] = 1 / norms
    plane[Numbers.RETURNS : Numbers.FIRST_SCALES] = share * norms
    plane[Numbers.FIRST_SCALES : Numbers.KEPT] = plane[Numbers.SCALES : Numbers.FIRST_SCALES]
    plane[Numbers.KEPT : Numbers.RIDGE] = 1 - share
    plane[Numbers.RIDGE], plane[Numbers.EXCESS] = stage.adaptive * variance, stage.excess * variance
    plane[Numbers.SHARE, 0] = share
    # The mean of the group keeps to what it was.
    plane[Numbers.FIRST_SCALES, 0] = plane[Numbers.FIRST_RETURNS, 0] = 0
    plane[Numbers.FIRST_KEPT, 0] = 1


def _by_shift(values: Array) -> Array:
    """A number for each shift, and 0 for a place that no candidate took."""
    return np.pad(values, (0, NOBODY + 1 - len(values)))


def _covariances(correlation: Array, variances: tuple[float, ...], local: bool) -> tuple[Array, int]:
    """Covariances of coefficients in the order in which spectra are kept, and how far shifts reach in them."""
    table = np.swapaxes(correlation, -1, -2).astype(np.float32)
    if not local:
        table *= np.array(variances, np.float32).reshape(-1, 1, 1, 1, 1)
    return _aligned(table), table.shape[1] // 2


def _pitch(width: int) -> int:
    """Numbers from a row to the next: an odd number of cache lines, so that the rows of a patch do not share a few places of the
    first-level cache, as they do 512 or 1024 pixels apart."""
    lines = -(-width // 16)
    return 16 * (lines + 1 - lines % 2)


def _with_pitch(planes: Array, pitch: int, height: int = 0) -> Array:
    """The same numbers in longer rows, and more of them; no copy of what is so already."""
    count, rows, width = planes.shape
    line, height = 4 * pitch, height or rows
    if planes.dtype == np.float32 and planes.strides == (line * height, line, 4):
        return planes
    wide = np.empty((count, height, pitch), np.float32)
    wide[:, :rows, :width] = planes
    return wide


def _planes(shape: tuple[int, ...], offset: int) -> Array:
    """Zeros that begin ``offset`` bytes into a page: where a load and a store before it are as far into a page, the processor takes
    the one to be of the other. With rows of an odd number of cache lines that saves 10 to 20 % of the groups' time."""
    size = math.prod(shape)
    memory = np.zeros(size + 2048, np.float32)
    start = (offset - memory.ctypes.data) % 4096 // 4
    return memory[start : start + size].reshape(shape)


def _aligned(array: Array) -> Array:
    """The same numbers at a multiple of the size of a vector."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    moved = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved
