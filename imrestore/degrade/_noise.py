"""Noise: of photons, of reading out, of whatever adds up to a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imrestore._checks.values import shown
from imrestore.degrade._launches import Numbers, Operation
from imrestore.degrade._numbers import Floats, probability
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value, numbers_of

_GAUSSIAN = Operation("noising", "gaussian")
_SPECKLE = Operation("noising", "speckle", backward="adjoint")
_POISSON = Operation("noising", "poisson")

#: What column A says of noise that is the same, or not, for all channels.
_OWN, _SHARED = -1, -2


@dataclass(frozen=True)
class GaussianNoise(Step):
    """Add white Gaussian noise.

    Parameters
    ----------
    sigma : number, range or distribution, default: 25.0
        Standard deviation, >= 0, in the image's units (those of `Chain` with ``white``).
    grey : float, default: 0.0
        Chance that all channels of a sample get the same noise.

    Raises
    ------
    TypeError
        If a parameter is no number, range or distribution.
    ValueError
        If one is out of range.

    Notes
    -----
    Floats are not clipped: the noise of the usual comparisons has mean zero. Put `Clip` behind it for a sensor that saturates. The
    gradient is handed on as it is.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import GaussianNoise
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> noisy = GaussianNoise(10)(image, rng=0)
    >>> bool(9 < noisy.std() < 11)
    True
    """

    sigma: Value = 25.0
    grey: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "sigma")
        probability("grey", self.grey)

    def plan(self, draw: Draw) -> None:
        sigma = draw.value(self.sigma)
        shared = chosen(draw, self.grey)
        draw.launch(_GAUSSIAN, [sigma * draw.unit], A=_columns(shared))
        draw.record("GaussianNoise", sigma=sigma, **({"grey": shared} if self.grey else {}))


@dataclass(frozen=True)
class ColorNoise(Step):
    """Add white Gaussian noise that is correlated between the channels.

    Parameters
    ----------
    sigma : number, range or distribution, default: 25.0
        Scale of the noise, >= 0, in the image's units. Without `covariance` it is the largest standard deviation along any
        direction of the colour space; with it, the covariance is `sigma` squared times `covariance`.
    covariance : sequence of sequences of float, optional
        Symmetric and positive semi-definite, a row for each channel. By default every sample draws one: a random rotation of a
        diagonal matrix of uniform random numbers, with the absolute values of its entries (Zhang, Liang, Van Gool and Timofte
        2021).

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or `covariance` is no covariance or not one of the image's channels.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import ColorNoise
    >>> image = numpy.zeros((3, 64, 64), numpy.float32)
    >>> noisy = ColorNoise(0.1, covariance=[[1, 1, 0], [1, 1, 0], [0, 0, 1]])(image, rng=0, channel_axis=0)
    >>> bool((noisy[0] == noisy[1]).all()), bool((noisy[0] == noisy[2]).any())
    (True, False)
    """

    sigma: Value = 25.0
    covariance: tuple[tuple[float, ...], ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "sigma")
        if self.covariance is not None:
            object.__setattr__(self, "covariance", _covariance(self.covariance))

    def plan(self, draw: Draw) -> None:
        sigma = draw.value(self.sigma)
        drawn: list[Any] = [None] * len(draw)
        for count in sorted(set(draw.channels.tolist())):
            only = draw.channels == count
            own = self._covariances(draw, count)
            values, vectors = np.linalg.eigh(own)
            root: Floats = vectors * np.sqrt(np.maximum(values, 0))[:, None, :] @ vectors.transpose(0, 2, 1)
            start = draw.store(root * (sigma * draw.unit)[:, None, None])
            draw.launch(_GAUSSIAN, A=start, only=only)
            for k in np.flatnonzero(only).tolist() if draw.batch.records is not None else ():
                drawn[k] = own[k].tolist()
        draw.record("ColorNoise", sigma=sigma, covariance=drawn)

    def _covariances(self, draw: Draw, channels: int) -> Floats:
        """Of a sigma of 1, for each sample, (samples, channels, channels)."""
        if self.covariance is not None:
            if len(self.covariance) != channels:
                raise ValueError(f"covariance is of {len(self.covariance)} channels; it must be of the image's {channels}")
            return np.broadcast_to(np.array(self.covariance), (len(draw), channels, channels))
        u = draw.uniforms(channels + channels * channels)
        basis = np.linalg.qr(u[:, channels:].reshape(-1, channels, channels))[0]
        own: Floats = np.abs(np.einsum("nki,nk,nkj->nij", basis, u[:, :channels], basis))
        return own


@dataclass(frozen=True)
class PoissonNoise(Step):
    """Replace every value by a Poisson number with this mean: the noise of counting photons.

    Parameters
    ----------
    peak : number, range or distribution, default: 100.0
        Photons that make white, at least 1e-9: values are counted in steps of ``data_range / peak``.
    scale : number, range or distribution, default: 1.0
        The noise is multiplied by this, 0 to 1e6.
    grey : float, default: 0.0
        Chance that the noise of a sample's grey (0.299 R + 0.587 G + 0.114 B) is added to all of its channels.

    Raises
    ------
    TypeError
        If a parameter is no number, range or distribution.
    ValueError
        If one is out of range.

    Notes
    -----
    Values below 0 are taken for 0 photons. The gradient is handed on as it is.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import PoissonNoise
    >>> image = numpy.full((64, 64), 0.5, numpy.float32)
    >>> noisy = PoissonNoise(peak=50)(image, rng=0)
    >>> bool(abs(noisy.std() - 0.1) < 0.01)
    True
    """

    peak: Value = 100.0
    scale: Value = field(default=1.0, kw_only=True)
    grey: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 1e-9, np.inf, "peak")
        check_fields(self, 0, 1e6, "scale")
        probability("grey", self.grey)

    def plan(self, draw: Draw) -> None:
        peak, scale = draw.value(self.peak), draw.value(self.scale)
        shared = chosen(draw, self.grey)
        draw.launch(_POISSON, [draw.white / peak, 0.0, 0.0, scale - 1], A=_columns(shared))
        draw.record("PoissonNoise", peak=peak, scale=scale, **({"grey": shared} if self.grey else {}))


@dataclass(frozen=True)
class PoissonGaussianNoise(Step):
    """The noise of a camera: photons that are counted, and the noise of reading them out.

    Parameters
    ----------
    gain : number, range or distribution, default: 1.0
        What one photon adds to a value, >= 0, in the image's units; 0 for no shot noise.
    read_noise : number, range or distribution, default: 0.0
        Standard deviation of the noise of reading out, >= 0, in the image's units.
    offset : number, range or distribution, default: 0.0
        Value where there is no light, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is no number, range or distribution.
    ValueError
        If one is out of range.

    See Also
    --------
    imrestore.noise.estimate_poisson_gaussian : gain and read noise of an image.

    Notes
    -----
    The variance at the value x is ``gain * (x - offset) + read_noise**2`` (Foi, Trimeche, Katkovnik and Egiazarian 2008). The
    gradient is handed on as it is.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import PoissonGaussianNoise
    >>> image = numpy.full((64, 64), 1000, numpy.uint16)
    >>> noisy = PoissonGaussianNoise(2.0, 30, offset=100)(image, rng=0)
    >>> bool(abs(noisy.std() - (2.0 * 900 + 30**2) ** 0.5) < 3)
    True
    """

    gain: Value = 1.0
    read_noise: Value = 0.0
    offset: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "gain", "read_noise")
        check_fields(self, -np.inf, np.inf, "offset")

    def plan(self, draw: Draw) -> None:
        gain, read, offset = draw.value(self.gain), draw.value(self.read_noise), draw.value(self.offset)
        draw.launch(_POISSON, [gain * draw.unit, read * draw.unit, offset * draw.unit], A=_OWN)
        draw.record("PoissonGaussianNoise", gain=gain, read_noise=read, offset=offset)


@dataclass(frozen=True)
class SpeckleNoise(Step):
    """Multiply every value by 1 plus white Gaussian noise.

    Parameters
    ----------
    sigma : number, range or distribution, default: 0.1
        Standard deviation of the factor, 0 to 1e6.
    grey : float, default: 0.0
        Chance that all channels of a sample get the same factors.

    Raises
    ------
    TypeError
        If a parameter is no number, range or distribution.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import SpeckleNoise
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> bool(9 < SpeckleNoise(0.1)(image, rng=0).std() < 11)
    True
    """

    sigma: Value = 0.1
    grey: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "sigma")
        probability("grey", self.grey)

    def plan(self, draw: Draw) -> None:
        sigma = draw.value(self.sigma)
        shared = chosen(draw, self.grey)
        draw.launch(_SPECKLE, [sigma], A=_columns(shared))
        draw.record("SpeckleNoise", sigma=sigma, **({"grey": shared} if self.grey else {}))


def chosen(draw: Draw, chance: float) -> np.ndarray[Any, np.dtype[np.bool_]] | bool:
    """Which samples something is done to, one word for all where the chance is 0 or 1: that takes no random number."""
    if chance in (0, 1):
        return bool(chance)
    result: np.ndarray[Any, np.dtype[np.bool_]] = draw.uniforms()[:, 0] < chance
    return result


def _columns(shared: np.ndarray[Any, np.dtype[np.bool_]] | bool) -> Numbers | int:
    """Column A for samples whose channels have the same noise, or not."""
    if isinstance(shared, bool):
        return _SHARED if shared else _OWN
    return np.where(shared, _SHARED, _OWN)



def _covariance(value: Any) -> tuple[tuple[float, ...], ...]:
    """A matrix that can be a covariance."""
    allowed = "a symmetric, positive semi-definite matrix of finite numbers"
    matrix = numbers_of("covariance", value, allowed)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] >= 1
    if not (square and np.isfinite(matrix).all() and np.allclose(matrix, matrix.T)):
        raise ValueError(f"covariance is {shown(value)}; it must be {allowed}")
    values = np.linalg.eigvalsh(matrix)
    if values[0] < -1e-9 * max(values[-1], 0):
        raise ValueError(f"covariance is {shown(value)}; it must be {allowed}")
    return tuple(tuple(row) for row in matrix.tolist())
