"""How steps move pixels: as few launches as the samples allow.

Consecutive moves of a sample become one. Two warps are interpolated once, where one after the other would blur twice; a crop or a
flip behind a warp only makes the pixels that are kept. It is decided for each sample by what was done to it alone, so that it is
the same in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.samples import Job

from imrestore.augment._homographies import Homography, times
from imrestore.degrade._launches import IMAGE, MASK, TARGET, Operation, PlainLaunch
from imrestore.degrade._plan import Draw

#: Result (y, x) is the image at row a + b y + c x and column d + e y + f x.
Move = tuple[int, int, int, int, int, int]
#: Height and width.
Sides = tuple[int, int]

_PLACE = Operation("warping", "place", backward="adjoint", in_place=False)
_WARP = Operation("warping", "warp", backward="adjoint", in_place=False)
#: Everybody moves; masks hold labels, between which nothing lies.
_ROLES = (IMAGE, TARGET, MASK)
_FOR_MASKS = {int(Job.D): 0}
INTERPOLATIONS = {"nearest": 0, "bilinear": 1, "bicubic": 2}
_NO_CHANGE: Homography = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# Plain numbers: a member of an enumeration takes NumPy three times as long to index with.
_HEIGHT, _WIDTH, _A, _D, _F = map(int, (Job.HEIGHT, Job.WIDTH, Job.A, Job.D, Job.F))
_MOVE = slice(_A, _F + 1)
_CVAL = 9


def warp(
    draw: Draw,
    homographies: Sequence[Homography],
    sizes: Sequence[Sides],
    interpolations: Sequence[int],
    mode: int,
    cval: float,
) -> None:
    """Result (x, y, 1) of each sample is the image at its homography times that."""
    fresh: list[int] = []
    numbers: list[tuple[float, ...]] = []
    columns: list[Move] = []
    for k, (sample, own) in enumerate(zip(draw.plain_ids, homographies, strict=True)):
        launch, row = draw.batch.last(sample)
        if launch is not None and launch.operation is _PLACE:
            mirror = _mirror(launch, row)
            if mirror is not None:  # no border rule minds in which order that is done
                own = times(mirror, own)
                draw.batch.drop(launch, sample)
                launch, row = draw.batch.last(sample)
        if launch is not None and launch.operation is _WARP and _joins(launch, row, interpolations[k], mode, cval):
            _set_homography(launch, row, times(_homography(launch, row), own))
            draw.batch.resize(launch, row, sample, sizes[k])
            continue
        fresh.append(k)
        numbers.append((*_normalised(own), cval))
        columns.append((-1, 0, 0, interpolations[k], mode, 0))
    out = [sizes[k] for k in fresh]
    draw.launch_plain(_WARP, fresh, numbers, columns, out=out, roles=_ROLES, for_masks=_FOR_MASKS)


def _joins(launch: PlainLaunch, row: int, interpolation: int, mode: int, cval: float) -> bool:
    """Whether a warp is of the kind that another may become a part of."""
    displaced, _, _, before, border, _ = launch.jobs[row][_MOVE]
    same = displaced < 0 and before == interpolation and border == mode
    return same and (mode != CONSTANT or launch.numbers[row][_CVAL] == cval)


def _mirror(launch: PlainLaunch, row: int) -> Homography | None:
    """What a whole-pixel move does if it turns rows or columns around, or none, and nothing else."""
    _, height, width, out_height, out_width = launch.jobs[row][_HEIGHT - 1 : _HEIGHT + 4]
    a, b, c, d, e, f = move = _move(launch, row)
    ends = a == (height - 1 if b < 0 else 0) and d == (width - 1 if f < 0 else 0)
    pure = c == e == 0 and ends and (height, width) == (out_height, out_width)
    return _matrix(move) if pure else None


def displace(
    draw: Draw, knots: Sequence[Sequence[float]], counts: Sequence[Sides], interpolations: Sequence[int], mode: int, cval: float
) -> None:
    """Move pixels by B-splines, of so many knots down and across for each sample."""
    sizes = draw.plain_sizes
    for length in sorted({len(own) for own in knots}):  # one table for all samples with as many knots
        places = [k for k, own in enumerate(knots) if len(own) == length]
        draw.launch_plain(
            _WARP,
            places,
            [(*_NO_CHANGE, cval)] * len(places),
            [(0, *counts[k], interpolations[k], mode, 0) for k in places],
            out=[sizes[k] for k in places],
            roles=_ROLES,
            for_masks=_FOR_MASKS,
            stored=[knots[k] for k in places],
        )


def place(draw: Draw, moves: Sequence[Move | None], sizes: Sequence[Sides]) -> None:
    """Move whole pixels, to places that all lie inside; samples without a move stay as they are."""
    fresh: dict[int, Move] = {}
    for k, (sample, move) in enumerate(zip(draw.plain_ids, moves, strict=True)):
        if move is None:
            continue
        launch, row = draw.batch.last(sample)
        if launch is not None and launch.operation is _WARP and launch.jobs[row][_A] < 0:
            _set_homography(launch, row, times(_homography(launch, row), _matrix(move)))
        elif launch is not None and launch.operation is _PLACE:
            launch.jobs[row][_MOVE] = _one_after_the_other(_move(launch, row), move)
        else:
            fresh[k] = move
            continue
        draw.batch.resize(launch, row, sample, sizes[k])
    draw.launch_plain(_PLACE, list(fresh), columns=list(fresh.values()), out=[sizes[k] for k in fresh], roles=_ROLES)


def _one_after_the_other(first: Move, second: Move) -> Move:
    a, b, c, d, e, f = first
    row, row_y, row_x, column, column_y, column_x = second
    return (
        *(a + b * row + c * column, b * row_y + c * column_y, b * row_x + c * column_x),
        *(d + e * row + f * column, e * row_y + f * column_y, e * row_x + f * column_x),
    )


def _move(launch: PlainLaunch, row: int) -> Move:
    a, b, c, d, e, f = launch.jobs[row][_MOVE]
    return (a, b, c, d, e, f)


def _homography(launch: PlainLaunch, row: int) -> Homography:
    a, b, c, d, e, f, g, h, i = launch.numbers[row][:_CVAL]
    return (a, b, c, d, e, f, g, h, i)


def _set_homography(launch: PlainLaunch, row: int, homography: Homography) -> None:
    launch.numbers[row][:_CVAL] = _normalised(homography)


def _normalised(homography: Homography) -> Homography:
    """With 1 in the corner where only the size of it matters: the kernels then have nothing to divide by."""
    corner = homography[8]
    if homography[6] == homography[7] == 0 and corner > 0 and corner != 1:
        a, b, c, d, e, f, g, h, _ = homography
        return (a / corner, b / corner, c / corner, d / corner, e / corner, f / corner, g, h, 1.0)
    return homography


def _matrix(move: Move) -> Homography:
    """A whole-pixel move as a homography."""
    a, b, c, d, e, f = map(float, move)
    return (f, e, d, c, b, a, 0.0, 0.0, 1.0)


def as_homographies(matrices: np.ndarray) -> list[Homography]:
    """Matrices (samples, 3, 3), plain."""
    return [tuple(row) for row in matrices.reshape(len(matrices), 9).tolist()]
