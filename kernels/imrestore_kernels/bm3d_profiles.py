"""What BM3D is made of: its definition, its parameters and the tables that follow from them, for CPU and CUDA alike.

Definition (Dabov, Foi, Katkovnik and Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative filtering", IEEE TIP
2007), as every backend here and the oracle of the tests have it:

1. An image is planes of float32, (C, H, W) with H and W at least `SIDE`; plane 0 is the one that is matched on.
2. Reference patches of `SIDE` x `SIDE` pixels stand at rows 0, step, 2 step .. and, if that does not end there, at H - SIDE;
   columns likewise.
3. The distance D of two patches is the sum of squared differences of plane 0 (of the noisy image in the first stage, of the
   first stage's result in the second). Candidates of a reference are the patches within ``window // 2`` rows and columns of it that
   lie inside the image, with D at most ``match * SIDE**2`` variances of the noise at the reference. Both sides are compared
   by their float32 with the last `SHIFT_BITS` bits cleared. A distance that is NaN is no candidate; the reference itself always is.
4. Candidates are sorted by that distance, equal ones by the square of their shift's length, then dy, then dx. The first
   ``group`` of them, and of these the largest power of two, are the group: patches 0 .. K - 1, patch 0 the reference.
5. Every plane is filtered with the groups of plane 0. A patch P becomes ``T P T'`` with the matrix T of ``transform``, whose
   rows have norm 1; across the group follows the orthonormal Haar transform of all levels (pairs 0 1, 2 3 ..; then pairs of
   sums).
6. A coefficient has the noise variance v: that of the plane where noise is white; see `imrestore_kernels.bm3d_noise` otherwise.
7. First stage: coefficients with ``|c| < threshold * sqrt(v)`` become 0, and the group weighs 1 / (sum of v of the others). Second
   stage: with e the coefficients of the first stage's result, the gain is ``g = e**2 / (e**2 + noise * v)``, and the group
   weighs 1 / (sum of g**2 v). The mean of the group (coefficient 0, 0 of patch 0) is kept in both, g = 1: adding a number to an
   image adds it to the result.
8. Both transforms are inverted, and every pixel becomes the mean of all patches that cover it, weighted by their group's weight
   times Kaiser's window of ``beta`` along both axes.

A NaN in plane 0 is in no candidate and makes its reference patches NaN; one in another plane makes the groups it is in NaN. A
distance that is infinite is no candidate's. The limit of point 3 is rounded to float32 once where the variance is one number, and
is the product of two float32 where it differs from place to place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

Table = np.ndarray[Any, np.dtype[np.float64]]

SIDE = 8
#: Last bits of a distance that do not count: there backends put the number of the shift, to sort by whole numbers.
SHIFT_BITS = 11
#: Largest window, so that shifts can be numbered.
MOST_WINDOW = 45
TRANSFORMS = ("bior1.5", "dct")


class HardThreshold(NamedTuple):
    """First stage of BM3D.

    Attributes
    ----------
    transform : {'bior1.5', 'dct'}
        Of patches: the biorthogonal wavelet 1.5 or the discrete cosine transform.
    step : int
        Pixels between reference patches, 1 to 8.
    group : int
        Most patches of a group: 8, 16 or 32.
    window : int
        Side of the square in which patches are looked for, odd, 1 to 45 pixels.
    match : float
        Largest mean squared difference to the reference, in variances of the noise. Two patches of the same picture differ by 2.
    threshold : float
        Coefficients below so many standard deviations of the noise become zero.
    beta : float
        Kaiser's parameter: how much less the pixels at the ends of a patch weigh; 0 for all the same.
    colour : float
        In all planes but the first, differences of colours, which show less than brightness, noise counts for so many times its
        variance.
    """

    transform: str = "bior1.5"
    step: int = 3
    group: int = 32
    window: int = 39
    match: float = 8.0
    threshold: float = 2.7
    beta: float = 3.0
    colour: float = 1.2


class Wiener(NamedTuple):
    """Second stage of BM3D: as `HardThreshold`, but for

    Attributes
    ----------
    noise : float
        Factor of the noise's variance in Wiener's gain.
    """

    transform: str = "dct"
    step: int = 3
    group: int = 32
    window: int = 39
    match: float = 30.0
    noise: float = 0.8
    beta: float = 2.0
    colour: float = 2.2


Stage = HardThreshold | Wiener

#: References of a tile, beside and below each other.
TILE_COLUMNS, TILE_ROWS = 64, 8


class Profile(NamedTuple):
    """Parameters of BM3D; change them with ``profile._replace(hard=profile.hard._replace(step=2))``."""

    hard: HardThreshold = HardThreshold()
    wiener: Wiener = Wiener()


#: The parameters were chosen on pictures that no figure is quoted for: 16 of CBSD432 in grey, 24 of Train400, noise of 15, 25
#: and 50 in 0..255 (`benches/bm3d_search.py`). What they are worth there, in dB: groups of 32 instead of 16 in the first stage
#: 0.01, 0.01 and 0.05; noise 0.8 instead of the classic 1.0 0.06, 0.05 and 0.0; steps of 2 0.02. More matches (30 variances) or
#: all, a beta of 2, windows of 29 to 45: within 0.01. Factors for colour, on 8 pictures of CBSD432: 0.08, 0.07 and 0.09 in all.
#: For noise of 75 and 100 'very_noisy' gains 0.05 and 0.1.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "normal": Profile(),
        "fast": Profile(HardThreshold(step=6, group=16, window=15), Wiener(step=6, group=16, window=15)),
        "high": Profile(HardThreshold(step=2), Wiener(step=2)),
        "very_noisy": Profile(HardThreshold(window=45, threshold=2.8), Wiener(window=45, noise=1.1)),
    }
)


@cache
def shifts(window: int) -> tuple[tuple[int, int], ...]:
    """(dy, dx) of the patches in a window in the order of their numbers: nearest first, the reference itself first of all."""
    span = range(-(window // 2), window // 2 + 1)
    return tuple(sorted(((dy, dx) for dy in span for dx in span), key=lambda s: (s[0] ** 2 + s[1] ** 2, s)))


def limit_of(stage: Stage, variance: float) -> int:
    """A whole number (bits of a distance, in its last ones a shift's number) above those of all candidates; no shift has the last
    number, so that it is nobody's itself."""
    most = np.float32(min(stage.match * SIDE * SIDE * variance, float(np.finfo(np.float32).max)))
    return int(most.view(np.int32)) | (1 << SHIFT_BITS) - 1


def positions(length: int, step: int) -> list[int]:
    """First pixels of the reference patches along an axis."""
    return sorted({*range(0, length - SIDE + 1, step), length - SIDE})


@cache
def window_of(beta: float) -> Table:
    """Kaiser's window over a patch."""
    taps = np.kaiser(SIDE, beta)
    table: Table = np.outer(taps, taps)
    table.flags.writeable = False
    return table


def rows_of_strip(step: int, window: int) -> int:
    """Rows of references that one thread filters on the CPU.

    A strip writes ``window // 2`` rows above itself, and that and a patch below its last reference: it is as high as two of its
    neighbours may write to, so that even strips never meet, nor odd ones.
    """
    return TILE_ROWS * -(-(2 * (window // 2) + SIDE) // (TILE_ROWS * step))
