"""BM3D on CUDA: a stage in three launches for every band of rows of references."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels import bm3d_deblur
from imrestore_kernels.bm3d_driver import Backend, Progress, Request, restore
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SIDE, HardThreshold, Profile, Stage, positions, shifts
from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, Dim3, empty, grid, launch, namespace, upload
from imrestore_kernels.cuda.gaussian import gaussian

#: Bytes of the tiles of a band: 27 bands for 100 megapixels with step 3, one for 4.
SCRATCH_BYTES = 2**28

_WARPS = 4  # of a block that filters
_EXCHANGE_BYTES = 8 * SIDE * (SIDE + 1) * 4  # of a warp there: two slots of four patches, as in bm3d_group.cuh
_SHIFTS_AT_ONCE = 4

#: Rows of references of a warp that matches, by step: a lane keeps step * ((rows - 1) * step + 8) pixels in registers.
_ROWS = {1: 2, 2: 2, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1}
_SHARED_OF_MULTIPROCESSOR = 228 * 1024  # compute capability 9.0, of which each block takes 1 KiB more than it asks for


class MatchShape(NamedTuple):
    """How a block matches: warps, rows of references of each, and rows of shifts whose pixels are in shared memory at a time."""

    warps: int
    rows: int
    chunk: int
    shared_bytes: int


class TileShape(NamedTuple):
    """Tiles of references that are filtered by a block."""

    per_side: int
    side: int  # in pixels, with everything that shifts reach
    pitch: int
    shared_bytes: int


@cache
def match_shape(step: int, window: int) -> MatchShape:
    """Most warps on a multiprocessor, up to 16; then most rows of shifts at a time, at least 12: each time a tile is loaded."""
    rows = _ROWS[step]
    line = step * (32 + 2 * -(-(window // 2) // step))
    most = -(-window // _SHIFTS_AT_ONCE) * _SHIFTS_AT_ONCE
    fitting = []
    for warps in (1, 2, 3, 4):
        for chunk in range(min(12, most), most + 1, _SHIFTS_AT_ONCE):
            shared = (warps * rows * 32 * 32 + ((warps * rows - 1) * step + SIDE + chunk - 1) * line) * 4
            if shared <= SHARED_WITHOUT_OPT_IN:
                resident = _SHARED_OF_MULTIPROCESSOR // (shared + 1024) * warps
                fitting.append((min(resident, 16), chunk, MatchShape(warps, rows, chunk, shared)))
    return max(fitting)[2]


@cache
def tile_shape(step: int, group: int, window: int) -> TileShape:
    """The largest tile that fits: what is stored of it and read again grows with its margin."""
    shared_of_warps = _WARPS * (_EXCHANGE_BYTES + 4 * (2 * group + 2))
    for per_side in (16, 8, 4, 2):
        side = (per_side - 1) * step + SIDE + 2 * (window // 2)
        pitch = side + (8 - side) % 16  # an odd multiple of 8
        shared = (2 * side - SIDE + 1) * pitch * 4 + shared_of_warps
        if shared <= SHARED_WITHOUT_OPT_IN:
            return TileShape(per_side, side, pitch, shared)
    raise AssertionError("every window fits")


@lru_cache(maxsize=32)
def _numbers(window: int, rows: int) -> np.ndarray[Any, Any]:
    """Numbers of the shifts by dy and dx, in as many rows, of which the last may be no shifts."""
    reach = window // 2
    table = np.zeros((rows, window), np.uint16)
    for number, (dy, dx) in enumerate(shifts(window)):
        table[dy + reach, dx + reach] = number
    return table


class Band(NamedTuple):
    """Tile rows that are in memory at a time, and the rows of pixels that they reach."""

    first: int  # of the tile rows
    tile_rows: int
    row_start: int  # of pixels; what is above is done
    row_stop: int
    carried_until: int  # rows that tiles before these have reached, too
    final_until: int  # rows that tiles after these do not reach


def bands(rows: list[int], tile: TileShape, reach: int, most: int) -> list[Band]:
    """All tile rows, at most so many at a time. ``rows`` are the first pixels of the references."""
    starts = [max(row - reach, 0) for row in rows[:: tile.per_side]]
    height = rows[-1] + SIDE
    found: list[Band] = []
    for first in range(0, len(starts), most):
        count = min(most, len(starts) - first)
        last = first + count == len(starts)
        stop = min(rows[(first + count - 1) * tile.per_side] - reach + tile.side, height)
        before = found[-1].row_stop if found else 0
        found.append(Band(first, count, starts[first], stop, before, height if last else starts[first + count]))
    return found


def _adaptive(stage: Stage, noise: Noise) -> int:
    """Whether nothing (0), a share (1) or all (2) of the result is the adaptive estimate."""
    if isinstance(stage, HardThreshold) or noise.correlation is not None or stage.share == 0:
        return 0
    return 2 if stage.share == 1 else 1


class _Run:
    """One stage on the planes of one image: what all its launches share."""

    def __init__(self, stage: Stage, image: Any, guide: Any, noise: Noise) -> None:
        self.stage, self.image, self.guide, self.noise = stage, image, guide, noise
        self.planes, self.height, self.width = image.shape
        self.shape = np.int64(self.height), np.int64(self.width)
        self.rows, self.columns = positions(self.height, stage.step), positions(self.width, stage.step)
        self.match = match_shape(stage.step, stage.window)
        self.tile = tile_shape(stage.step, stage.group, stage.window)
        self.tile_columns = -(-len(self.columns) // self.tile.per_side)
        self.tile_floats = 2 * self.tile.side**2
        self.defines = {
            "STEP": stage.step,
            "REACH": stage.window // 2,
            "GROUP": stage.group,
            "ROWS": self.match.rows,
            "MATCH_WARPS": self.match.warps,
            "CHUNK": self.match.chunk,
            "DCT": int(stage.transform == "dct"),
            "WIENER": int(not isinstance(stage, HardThreshold)),
            "ADAPTIVE": _adaptive(stage, noise),
            "LOCAL": int(noise.local is not None),
            "CORRELATED": int(noise.correlation is not None),
            "WARPS": _WARPS,
            "PER_SIDE": self.tile.per_side,
            "PITCH": self.tile.pitch,
        }
        self.numbers = upload(_numbers(stage.window, -(-stage.window // self.match.chunk) * self.match.chunk))
        self.shifts = upload(np.array([(dy << 16) | (dx & 0xFFFF) for dy, dx in shifts(stage.window)], np.int32))
        self.taps = upload(np.kaiser(SIDE, stage.beta).astype(np.float32))
        self.white = upload(np.array(noise.variances, np.float32))

    def launch(self, function: str, blocks: Dim3, threads: int, args: list[Any], shared_bytes: int = 0) -> None:
        launch("bm3d", function, blocks, (threads, 1, 1), args, self.defines, shared_bytes)

    def bands(self) -> list[Band]:
        bytes_of_row = self.planes * self.tile_columns * self.tile_floats * 4
        return bands(self.rows, self.tile, self.stage.window // 2, max(1, SCRATCH_BYTES // bytes_of_row))

    def lists_of(self, band: Band) -> Any:
        """For all references the patches most like them, sorted: whole numbers with the number of the shift in the last bits."""
        start = band.first * self.tile.per_side
        stop = min(start + band.tile_rows * self.tile.per_side, len(self.rows))
        lists = empty(((stop - start) * len(self.columns) * self.stage.group,), np.uint32)
        across = self._blocks(0, len(self.columns), self.width, 33 - -(-SIDE // self.stage.step))
        tiles = across * self._blocks(start, stop, self.height, self.match.warps * self.match.rows)
        plane = self.image if self.guide is None else self.guide
        args = [plane, self.noise.local, self.numbers, lists, *self.shape, np.int32(start), np.int32(stop), np.int32(across)]
        args += [np.int32(tiles), np.float64(self.stage.match), np.float64(self.noise.variances[0])]
        self.launch("bm3d_match", grid(tiles), 32 * self.match.warps, args, self.match.shared_bytes)
        return lists

    def _blocks(self, start: int, stop: int, length: int, references: int) -> int:
        """Blocks of so many references along an axis; a last one off the grid has a block of its own."""
        regular = (length - SIDE) // self.stage.step + 1
        return -(-max(min(stop, regular) - start, 0) // references) + (stop > regular)

    def tiles_of(self, band: Band) -> Any:
        count = self.planes * band.tile_rows * self.tile_columns
        tiles = empty((count * self.tile_floats,), np.float32)
        stage, noise = self.stage, self.noise
        reach = 0 if noise.correlation is None else noise.correlation.shape[1] // 2
        args = [self.image, self.guide, noise.local, noise.correlation, np.int32(reach), self.white, self.taps, self.shifts]
        args += [self.lists_of(band), tiles, *self.shape]
        args += [np.int32(n) for n in (band.first, band.tile_rows, self.tile_columns, count)]
        if isinstance(stage, HardThreshold):
            args += [np.float32(n) for n in (stage.threshold, 0, 0, 0)]
        else:
            args += [np.float32(n) for n in (stage.noise, stage.adaptive, stage.excess, stage.share)]
        self.launch("bm3d_filter", grid(count), 32 * _WARPS, args, self.tile.shared_bytes)
        return tiles

    def result(self, progress: Progress) -> Any:
        dst = empty(self.image.shape, np.float32)
        carried = None
        all_bands = self.bands()
        for i, band in enumerate(all_bands):
            tiles = self.tiles_of(band)
            left = band.row_stop - band.final_until
            carry = empty((2 * self.planes * self.tile.side * self.width,), np.float32) if left > 0 else None
            args = [tiles, carried, carry, dst, np.int64(self.planes), *self.shape, np.int32(band.first), np.int32(band.tile_rows)]
            args += [np.int32(self.tile_columns), *(np.int32(row) for row in band[2:])]
            blocks = grid(-(-self.width // 256), self.planes * (band.row_stop - band.row_start))
            self.launch("bm3d_join", blocks, 256, args)
            carried = carry
            if progress:
                progress((i + 1) / len(all_bands))
        return dst


def bm3d(src: Any, dst: Any, request: Request, basic: Any, where: Any = None, pad_counts: bool = True) -> None:
    """BM3D of images (.., H, W, C); ``basic`` gets the first stage's result. The contract is in ``kernels/README.md``."""
    del pad_counts  # patches lie inside the image
    restore(Backend(namespace(), run_stage, hold, gaussian), request, src, dst, where, basic)


def deconvolve(
    src: Any,
    dst: Any,
    psf: np.ndarray[Any, Any],
    sigmas: tuple[float, ...],
    profile: Profile,
    periodic: bool,
    progress: Progress,
    where: None = None,
    pad_counts: bool = True,
) -> None:
    """Images (.., H, W, C) without the blur of ``psf`` and the noise of ``sigmas``."""
    del where, pad_counts  # a spectrum is one of all samples
    bm3d_deblur.deconvolve(Backend(namespace(), run_stage, hold, gaussian), src, dst, psf, sigmas, profile, periodic, progress)


def hold(planes: Any) -> Any:
    """Planes as they are."""
    return planes


def run_stage(stage: Stage, image: Any, guide: Any, noise: Noise, progress: Progress = None) -> Any:
    """One stage of BM3D as `imrestore_kernels.bm3d_profiles` defines it: a new array like ``image``, float32 (C, H, W).

    ``guide`` is None in the first stage, and like ``image`` in the second. ``progress`` hears which part of the stage the
    device has been given.
    """
    return _Run(stage, image, guide, noise).result(progress)
