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
8. The second stage has another estimate, in which the group itself is the basis: with E the guide's and C the noisy group's
   coefficients, a column a patch, 0 in both for the mean of the group, u the mean of v and K the patches, it is ``A C`` with
   ``A = E (E'E + adaptive K u I)**-1 E'``. That is Wiener's filter for patches with the covariance that those of the guide have,
   in their principal components (Zhang, Dong, Zhang and Shi, "Two-stage image denoising by principal component analysis with local
   pixel grouping", Pattern Recognition 2010; Lebrun, Buades and Morel, "A nonlocal Bayesian image denoising algorithm", SIAM
   J. Imaging Sciences 2013); here K x K numbers do, where their covariances have 64 x 64. K patches span no more than K directions
   of 64: what such a basis leaves out, ``R = C - A C``, comes back as far as it has more energy than noise would, ``r R`` with
   ``r = max(0, 1 - excess K u (64 - trace of A) / sum of R**2)`` (James and Stein, "Estimation with quadratic loss", 1961).
   Coefficients become ``(1 - share) g C + share (A C + r R)``, the mean stays, and the group weighs 1 / ((1 - share) (sum of
   g**2 v) + share (1 + (1 - r) trace of A + 64 r) u). Noise that is
   correlated is not that of this filter: then ``share`` counts as 0.
9. A third stage is a second one whose guide is the second's result.
10. Both transforms are inverted, and every pixel becomes the mean of all patches that cover it, weighted by their group's weight
   times Kaiser's window of ``beta`` along both axes.

A NaN in plane 0 is in no candidate and makes its reference patches NaN; one in another plane makes the groups it is in NaN. A
distance that is infinite is no candidate's. The limit of point 3 is rounded to float32 once where the variance is one number, and
is the product of two float32 where it differs from place to place.

Point 8 is computed in float32: E'E is taken after Haar's transform, so that what patches have in common and what they differ by
do not spoil each other's digits, at least `LEAST_RIDGE` of its diagonal is added there, and no pivot is less than `LEAST_PIVOT` of
what it was made of.
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
#: Of the adaptive estimate's matrix, in parts of its diagonal: the least that is added there, and the least pivot. Where a
#: group has fewer directions than patches, what is left after their pivots is rounding errors: with less of a ridge they grew
#: without bound.
LEAST_RIDGE, LEAST_PIVOT = 2.0**-18, 2.0**-20


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
    adaptive : float
        The same in the estimate whose basis is the group itself.
    excess : float
        What that estimate leaves out comes back as far as it exceeds so many times the noise's energy.
    share : float
        How much of the result is that estimate: from 0, none and no time for it, to 1, nothing else.
    """

    transform: str = "dct"
    step: int = 4
    group: int = 32
    window: int = 39
    match: float = 1000.0
    noise: float = 0.8
    beta: float = 2.0
    colour: float = 1.6
    adaptive: float = 0.7
    excess: float = 0.9
    share: float = 1.0


Stage = HardThreshold | Wiener

#: References of a tile, beside and below each other.
TILE_COLUMNS, TILE_ROWS = 64, 8


_REFINE = Wiener(adaptive=1.2, excess=1.1, beta=0.0)


class Profile(NamedTuple):
    """Parameters of BM3D; change them with ``profile._replace(hard=profile.hard._replace(step=2))``.

    ``refine`` is a third stage, or None. Noise that is correlated is filtered by two: ``hard``, and the last one with ``share=0``.
    """

    hard: HardThreshold = HardThreshold()
    wiener: Wiener = Wiener()
    refine: Wiener | None = None


#: The parameters were chosen on pictures that no figure is quoted for: 16 of CBSD432 in grey, 24 of Train400, noise of 15, 25
#: and 50 in 0..255 (`benches/bm3d_search.py`; its last run is in benches/results). What they are worth on the 16, in dB: the
#: adaptive estimate in the second stage 0.07, 0.09 and 0.02 and in the third 0.08, 0.08 and 0.15 (neither, and two stages in
#: steps of 3, the classic method: 0.14, 0.13 and 0.04 less), no third stage 0.14, 0.12 and 0.17 less; what is brought back of
#: its rest in the second stage 0.03, 0.05 and 0.02; groups of 32 instead of 16 in the third 0.10, 0.05 and 0.08. Steps of 4
#: instead of 3 in the first 0.015, 0.008 and 0.009 less, and 0.1 to 0.2 less in deblurring; steps of 3 instead of 4 in the
#: third 0.005; steps of 4 instead of 6 in the second nothing. Other windows, betas and matches: within 0.01 (fewer matches than
#: all cost 0.25 at noise of 5). Factors for colour, on 5 pictures of CBSD432: within 0.01. 'fast' keeps to gains: half as many
#: patches span too little, 0.5 less at noise of 5. For noise of 75 and 100 'very_noisy' gains 0.03 and 0.05.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "normal": Profile(HardThreshold(), Wiener(step=6, window=29), _REFINE),
        "fast": Profile(
            HardThreshold(step=6, group=16, window=15), Wiener(step=6, group=16, window=15, match=30.0, share=0.0), None
        ),
        "high": Profile(HardThreshold(step=2), Wiener(step=3), _REFINE._replace(step=2)),
        "very_noisy": Profile(
            HardThreshold(window=45, threshold=2.8), Wiener(step=6, window=45, noise=1.1, share=0.0), _REFINE._replace(window=45)
        ),
    }
)


def used_stages(profile: Profile, stages: int, correlated: bool, guided: bool = False) -> tuple[Stage, ...]:
    """The stages that are run: the first only, or all; without the first where there is a guide. For noise that is correlated
    there is no adaptive estimate, and the last of the others follows the first."""
    first = () if guided else (profile.hard,)
    if stages == 1:
        return first
    if not correlated:
        return (*first, profile.wiener, *(() if profile.refine is None else (profile.refine,)))
    return (*first, (profile.refine or profile.wiener)._replace(share=0.0))


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
