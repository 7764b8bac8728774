"""How steps move pixels: as few launches as the samples allow.

Consecutive moves of a sample become one. Two warps are interpolated once, where one after the other would blur twice; a crop or a
flip behind a warp only makes the pixels that are kept. It is decided for each sample by what was done to it alone, so that it is
the same in any batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.samples import Job

from imrestore.augment._last import last_launches
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import IMAGE, MASK, TARGET, Draw, Launch, Numbers, Operation

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_PLACE = Operation("warping", "place", backward="adjoint", in_place=False)
_WARP = Operation("warping", "warp", backward="adjoint", in_place=False)
#: Everybody moves; masks hold labels, between which nothing lies.
_ROLES = (IMAGE, TARGET, MASK)
INTERPOLATIONS = {"nearest": 0, "bilinear": 1, "bicubic": 2}


def warp(
    draw: Draw, matrices: Floats, out: tuple[Numbers, Numbers], interpolations: Numbers, mode: int, cval: float
) -> None:
    """Result (x, y, 1) is the image at ``matrices`` (samples, 3, 3) times that."""
    matrices = _without_mirrors(draw, matrices)
    fresh = np.ones(len(draw), bool)
    for launch, rows, mine in last_launches(draw, _WARP, _PLACE):
        same = _is(launch, _WARP) & (launch.jobs[rows, Job.A] < 0) & (launch.jobs[rows, Job.D] == interpolations[mine])
        same &= (launch.jobs[rows, Job.E] == mode) & ((launch.numbers[rows, 9] == cval) | (mode != CONSTANT))
        rows, mine = rows[same], mine[same]
        _set_homography(launch, rows, _homographies(launch, rows) @ matrices[mine])
        _resize(draw, launch, rows, mine, out)
        fresh[mine] = False
    numbers = [*_normalised(matrices).reshape(len(draw), 9).T, cval]
    columns: dict[str, Any] = {"A": -1, "D": interpolations, "E": mode}
    draw.launch(_WARP, numbers, out=out, roles=_ROLES, for_masks={Job.D: 0}, only=fresh, **columns)


def _without_mirrors(draw: Draw, matrices: Floats) -> Floats:
    """Matrices that also mirror, for samples that were mirrored just before: no border rule minds in which order that is done."""
    for launch, rows, mine in last_launches(draw, _PLACE):
        jobs = launch.jobs[rows]
        mirrors = (jobs[:, Job.C] == 0) & (jobs[:, Job.E] == 0)
        for first, step, length, made in ((Job.A, Job.B, Job.HEIGHT, Job.OUT_HEIGHT), (Job.D, Job.F, Job.WIDTH, Job.OUT_WIDTH)):
            ends = np.where(jobs[:, step] < 0, jobs[:, length] - 1, 0)
            mirrors &= (jobs[:, first] == ends) & (jobs[:, length] == jobs[:, made])
        rows, mine = rows[mirrors], mine[mirrors]
        if len(rows) == 0:
            continue
        matrices = matrices.copy()
        matrices[mine] = _matrices(launch.jobs[rows, Job.A : Job.F + 1]) @ matrices[mine]
        draw.batch.drop(launch, rows)
    return matrices


def displace(
    draw: Draw, knots: Numbers, counts: tuple[Numbers, Numbers], interpolations: Numbers, mode: int, cval: float, only: Flags
) -> None:
    """Move pixels by B-splines of ``counts`` knots each, from place ``knots`` of the table on."""
    columns: dict[str, Any] = {"A": knots, "B": counts[0], "C": counts[1], "D": interpolations, "E": mode}
    draw.launch(_WARP, [1, 0, 0, 0, 1, 0, 0, 0, 1, cval], out=(draw.heights, draw.widths), roles=_ROLES, for_masks={Job.D: 0},
                only=only, **columns)  # fmt: skip


def place(draw: Draw, moves: Numbers, out: tuple[Numbers, Numbers]) -> None:
    """Result (y, x) is the image at row a + b y + c x and column d + e y + f x, with ``moves`` (samples, 6), all inside."""
    fresh = np.ones(len(draw), bool)
    matrices = _matrices(moves)
    for launch, rows, mine in last_launches(draw, _WARP, _PLACE):
        fits = (launch.jobs[rows, Job.A] < 0) | _is(launch, _PLACE)
        rows, mine = rows[fits], mine[fits]
        if launch.operation == _WARP:
            _set_homography(launch, rows, _homographies(launch, rows) @ matrices[mine])
        else:
            both = np.rint(_matrices(launch.jobs[rows, Job.A : Job.F + 1]) @ matrices[mine]).astype(np.int64)
            launch.jobs[rows, Job.A : Job.F + 1] = both[:, [1, 1, 1, 0, 0, 0], [2, 1, 0, 2, 1, 0]]
        _resize(draw, launch, rows, mine, out)
        fresh[mine] = False
    columns: dict[str, Any] = dict(zip("ABCDEF", moves.T, strict=True))
    draw.launch(_PLACE, out=out, roles=_ROLES, only=fresh, **columns)


def _is(launch: Launch, operation: Operation) -> bool:
    return launch.operation == operation


def _resize(draw: Draw, launch: Launch, rows: Numbers, mine: Numbers, out: tuple[Numbers, Numbers]) -> None:
    """What a launch makes has another size now, and so have the samples."""
    now, ids = draw.batch.now, draw.ids[mine]
    height, width = (length[mine] for length in out)  # copies: these may be the sizes that are about to change
    for column, own, length in ((Job.OUT_HEIGHT, Job.HEIGHT, height), (Job.OUT_WIDTH, Job.WIDTH, width)):
        launch.jobs[rows, column] = length
        now[ids, own] = now[ids, column] = length


def _homographies(launch: Launch, rows: Numbers) -> Floats:
    return launch.numbers[rows, :9].reshape(-1, 3, 3)


def _set_homography(launch: Launch, rows: Numbers, matrices: Floats) -> None:
    launch.numbers[rows, :9] = _normalised(matrices).reshape(-1, 9)


def _normalised(matrices: Floats) -> Floats:
    """With 1 in the corner where only the size of it matters: the kernels then have nothing to divide by."""
    corner = matrices[:, 2, 2]
    affine = (matrices[:, 2, 0] == 0) & (matrices[:, 2, 1] == 0) & (corner > 0)
    return matrices / np.where(affine, corner, 1)[:, None, None]


def _matrices(moves: Numbers) -> Floats:
    """Whole-pixel moves as homographies."""
    matrices = np.zeros((len(moves), 3, 3))
    matrices[:, 0] = moves[:, [5, 4, 3]]
    matrices[:, 1] = moves[:, [2, 1, 0]]
    matrices[:, 2, 2] = 1
    return matrices
