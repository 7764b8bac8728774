"""Noise as the stages of BM3D see it: the variance of every coefficient of a group."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.bm3d_profiles import MOST_WINDOW, SIDE
from imrestore_kernels.patch_transforms import matrix_of

Table = np.ndarray[Any, np.dtype[np.float64]]

#: Noise that a coefficient has none of is taken for so much of a pixel's variance: gains and weights stay finite.
LEAST = 1e-4
#: Distance of pixels of two patches in one window, at most.
FARTHEST = 2 * (MOST_WINDOW // 2) + SIDE - 1


class Noise(NamedTuple):
    """Noise of planes (C, H, W).

    Where patch i of a group has the variance v_i (``local`` at its first pixel, or else ``variances``), coefficients with the
    number k of two patches i and j have the covariance ``sqrt(v_i v_j) r_k(q_j - q_i)`` with r_k of ``correlation`` and q the first
    pixels of patches; without ``correlation``, r_k is 1 for i = j and else 0. A coefficient of the group is the sum over patches of
    h_i times coefficient k of patch i, with h a row of the orthonormal Haar matrix, so its variance is the sum over all i and j
    of h_i h_j times that covariance (Makinen, Azzari and Foi, "Collaborative filtering of correlated noise: exact transform-domain
    variance for improved shrinkage and patch matching", IEEE TIP 2020).

    Variances are positive; the variance of a sum or difference of two halves of a group is at least 2**-20 of the sum of theirs.

    Attributes
    ----------
    variances : tuple of float
        Of each plane.
    local : array or None
        (C, H - 7, W - 7), float32: variance of the patch that begins at a pixel, instead of ``variances``.
    correlation : array or None
        (C, 2 R + 1, 2 R + 1, 8, 8), float32: r by dy + R, dx + R and coefficient of one transform, with R at least twice
        ``window // 2``. r of no distance, a coefficient's own variance in parts of a pixel's, is at least `LEAST`.
    """

    variances: tuple[float, ...]
    local: Any = None
    correlation: Any = None


def autocorrelation_of_kernel(kernel: Table) -> Table:
    """Covariances of white noise that went through a kernel, by distance: (2 h - 1, 2 w - 1), no distance in the middle."""
    height, width = kernel.shape
    wide = np.zeros((2 * height - 1, 2 * width - 1))
    wide[:height, :width] = kernel
    covariances: Table = np.fft.irfft2(abs(np.fft.rfft2(wide)) ** 2, wide.shape)
    return np.roll(covariances, (height - 1, width - 1), (0, 1))


def autocorrelation_of_psd(psd: Table) -> Table:
    """Covariances by distance of noise with a power spectral density, at the frequencies of `numpy.fft.fft2`, on a torus.

    Distances reach just below half of the torus, beyond which they come back, or as far as any window does.
    """
    return autocorrelation_on_torus(np.fft.ifft2(psd).real)


def autocorrelation_on_torus(covariances: Table) -> Table:
    """Covariances by distance from those by place on a torus, no distance first."""
    reach = [min((n - 1) // 2, FARTHEST) for n in covariances.shape]
    rows, columns = (np.arange(-r, r + 1) for r in reach)
    table: Table = covariances[np.ix_(rows, columns)]
    return table


@lru_cache(maxsize=8)
def _of_bytes(data: bytes, shape: tuple[int, int], transform: str, reach: int) -> Table:
    given = np.frombuffer(data).reshape(shape)
    most = reach + SIDE - 1
    centre = [n // 2 for n in shape]
    near = np.zeros((2 * most + 1, 2 * most + 1))  # what is not known is not correlated
    kept = [min(most, c) for c in centre]
    near[most - kept[0] : most + kept[0] + 1, most - kept[1] : most + kept[1] + 1] = given[
        centre[0] - kept[0] : centre[0] + kept[0] + 1, centre[1] - kept[1] : centre[1] + kept[1] + 1
    ]
    rows = matrix_of(transform, SIDE)
    own = np.array([np.correlate(row, row, "full") for row in rows])  # of each row of the transform, symmetric
    near = near / given[centre[0], centre[1]]
    along = np.stack([np.apply_along_axis(np.convolve, 1, near, taps, "valid") for taps in own])
    table: Table = np.stack([np.apply_along_axis(np.convolve, 1, along, taps, "valid") for taps in own])
    table = np.ascontiguousarray(table.transpose(2, 3, 0, 1))
    table[reach, reach] = np.maximum(table[reach, reach], LEAST)
    return table


def correlation_of(autocorrelation: Table, transform: str, reach: int) -> Table:
    """`Noise.correlation` of one plane: coefficient (u, v) of patches (dy, dx) apart has the covariance of rows u and v of the
    transform, one down and one along the patches, with the autocorrelation of the noise."""
    given = np.ascontiguousarray(autocorrelation, np.float64)
    return _of_bytes(given.tobytes(), given.shape, transform, reach)


#: Pixels to each side that a filter reaches which makes correlated noise nearly white, the grid on which it is computed, and what
#: it takes noise to have at least of its mean power at any frequency.
WHITENING_RADIUS = 6
_WHITENING_GRID, _LEAST_POWER = 256, 0.1


def whitening_of(autocorrelation: Table) -> Table:
    """A filter (2 r + 1, 2 r + 1) behind which noise with this autocorrelation is nearly white, of the same variance.

    Patches are compared behind it: distances of correlated noise come from few frequencies, and hide what patches have in common.
    On pictures of CBSD432 with noise of 25 through a Gaussian of sigma 1, a row of 9 pixels and a box of 3x3 that gains
    0.55, 0.46 and 0.47 dB.
    """
    centre = [n // 2 for n in autocorrelation.shape]
    most = min(_WHITENING_GRID // 2 - 1, max(centre))
    torus = np.zeros((_WHITENING_GRID, _WHITENING_GRID))
    rows, columns = (np.arange(-min(most, c), min(most, c) + 1) for c in centre)
    torus[np.ix_(rows, columns)] = autocorrelation[np.ix_(rows + centre[0], columns + centre[1])]
    power = np.maximum(np.fft.rfft2(torus).real, 0) / autocorrelation[centre[0], centre[1]]
    whole = np.fft.irfft2(1 / np.sqrt(power + _LEAST_POWER), torus.shape)
    near = np.arange(-WHITENING_RADIUS, WHITENING_RADIUS + 1)
    taps: Table = whole[np.ix_(near, near)]
    wide = np.zeros_like(torus)
    wide[np.ix_(near, near)] = taps
    taps /= np.sqrt((abs(np.fft.fft2(wide)) ** 2 * _both_halves(power)).mean())
    return taps


def _both_halves(power: Table) -> Table:
    """A real, even spectrum from its first half."""
    columns = _WHITENING_GRID // 2 + 1
    rest = np.roll(power[::-1, columns - 2 : 0 : -1], 1, 0)
    return np.concatenate([power, rest], 1)
