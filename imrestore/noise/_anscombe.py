"""Anscombe's transform of signals with Poisson and Gaussian noise, and its inverses."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from imrestore_kernels import forks
from numpy.typing import NDArray

from imrestore import _checks, _dispatch
from imrestore._checks import noise as noise_checks
from imrestore._samples import SampleMap, map_samples, result_dtype

METHODS = ("exact", "asymptotic", "algebraic")
#: Counts up to which the exact inverse is a table of so many points, and read noise, as variance in counts, up to which
#: there is one. Beyond either the asymptotic inverse is off by less than 2e-5 standard deviations of the noise.
_TABLE_END, _TABLE_POINTS, _TABLE_VARIANCE = 128.0, 4096, 1e4


class _Table(NamedTuple):
    """Signals in counts for means of the transform that begin with ``first`` and go on in even steps."""

    signals: NDArray[np.float64]
    first: float
    step: float

    @property
    def last(self) -> float:
        return self.first + self.step * (len(self.signals) - 1)


def anscombe(image: Any, gain: float = 1.0, read_noise: float = 0.0, *, offset: float = 0.0, out: Any = None) -> Any:
    """Transform an image so that its noise has the standard deviation one everywhere.

    Parameters
    ----------
    image : array
        Of any shape; int8 to int64, uint8 to uint64, float16, float32 or float64. A NumPy array (or nested lists) and a
        torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on their GPU, a dask array block by block.
    gain : float, default: 1.0
        Image units for each count, > 0. A Poisson signal itself, such as counted photons, has 1.
    read_noise : float, default: 0.0
        Standard deviation of the additive Gaussian noise in image units, >= 0, at most a million times `gain`.
    offset : float, default: 0.0
        The image's value where there is no light.
    out : array, optional
        Where the result goes: of the image's kind, device and shape and of the result's dtype. It may be `image`.

    Returns
    -------
    array
        As `image`: type, device and shape. Floats keep their dtype; integers of 8 and 16 bits become float32, wider ones
        float64.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked or a matrix, or `out` is of
        another kind, on another device or of another dtype than the result.
    ValueError
        If a parameter is out of range, an axis has no pixel, or `out` has another shape.

    See Also
    --------
    inverse_anscombe : the way back.
    estimate_poisson_gaussian : finds `gain` and `read_noise`.

    Notes
    -----
    The noise's variance is taken to be ``gain * (mean - offset) + read_noise**2``; the result is
    ``2 / gain * sqrt(max(gain * (image - offset) + 3 / 8 * gain**2 + read_noise**2, 0))`` (Anscombe 1948; Starck, Murtagh
    and Bijaoui 1998). Its standard deviation is within 3 % of 1 from four counts on. Darker, it falls to 0 without read
    noise, and stays within 10 % of 1 with a read noise of one count or more. NaN stays NaN. Computed block by block: the
    memory beside the result is that of a block.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.noise import anscombe
    >>> counts = numpy.random.default_rng(0).poisson([[10.0], [1000.0]], (2, 100000))
    >>> counts.std(axis=1).round(1)
    array([ 3.2, 31.6])
    >>> anscombe(counts).std(axis=1).round(1)
    array([1., 1.])
    """
    factor, spread, zero = noise_checks.parameters(gain, read_noise, offset)
    shift = 3 / 8 + (spread / factor) ** 2
    return _mapped(_Forward(zero, factor, shift), image, "image", out)


def inverse_anscombe(
    values: Any,
    gain: float = 1.0,
    read_noise: float = 0.0,
    *,
    offset: float = 0.0,
    method: str = "exact",
    out: Any = None,
) -> Any:
    """Turn what was denoised after `anscombe` back into an image.

    Parameters
    ----------
    values : array
        The transformed image without its noise: arrays, shapes and dtypes as in `anscombe`.
    gain : float, default: 1.0
        As given to `anscombe`.
    read_noise : float, default: 0.0
        As given to `anscombe`.
    offset : float, default: 0.0
        As given to `anscombe`.
    method : str, default: 'exact'
        'exact' gives the mean of the noisy image whose transform has the mean `values`: right after denoising.
        'asymptotic' is its limit for many counts. 'algebraic' undoes the formula: right for values still as noisy as
        they were, too small otherwise, by up to a quarter of a count.
    out : array, optional
        Where the result goes: of the kind, device and shape of `values` and of the result's dtype. It may be `values`.

    Returns
    -------
    array
        As `values`: type, device and shape, in image units. Floats keep their dtype; integers of 8 and 16 bits become
        float32, wider ones float64.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `values` is complex, boolean, masked or a matrix, or `out` is
        of another kind, on another device or of another dtype than the result.
    ValueError
        If a parameter is out of range, an axis has no pixel, or `out` has another shape.

    See Also
    --------
    anscombe : the transform.

    Notes
    -----
    'exact' is the exact unbiased inverse (Makitalo and Foi 2011, and with read noise 2013): the mean of the transform is
    summed over the Poisson and Gaussian probabilities up to 128 counts, once for each ``read_noise / gain``, and
    inverted by a table; beyond that it is the asymptotic inverse. The bias, for read noise of 0 to 20 counts and signals
    of 0 to 10000, is below 2e-5 standard deviations of the noise plus 1e-5 counts; that of the closed form of 2011 and
    2013 reaches 0.15 standard deviations (read noise 0.3, no signal) and 0.018 counts without read noise. Values below
    the mean of the transform without light become `offset`. NaN stays NaN.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.noise import anscombe, inverse_anscombe
    >>> counts = numpy.random.default_rng(0).poisson(2.0, 1000000)
    >>> mean = anscombe(counts).mean(keepdims=True)
    >>> inverse_anscombe(mean).round(2)
    array([2.])
    >>> inverse_anscombe(mean, method="algebraic").round(2)
    array([1.77])
    """
    factor, spread, zero = noise_checks.parameters(gain, read_noise, offset)
    chosen = noise_checks.method(method, METHODS)
    variance = (spread / factor) ** 2
    return _mapped(_Inverse(zero, factor, variance, chosen), values, "values", out)


def _mapped(function: SampleMap, image: Any, name: str, out: Any) -> Any:
    if _dispatch.library(image) != _dispatch.DASK:
        return map_samples(function, image, name, out)
    import dask.array as da

    if not isinstance(image, da.Array):
        raise TypeError(f"{name} is a dask {type(image).__name__}; it must be a dask.array.Array")
    if out is not None:
        raise ValueError(f"out is given and {name} is a lazy dask array; it must be None")
    _checks.image_shape(image.shape, name)
    dtype = result_dtype(_checks.image_dtype(image.dtype, "iuf", name))
    return image.map_blocks(_of_block, function, name, dtype=dtype, meta=image._meta.astype(dtype))


def _of_block(block: Any, function: SampleMap, name: str) -> Any:
    return map_samples(function, block, name, None)


class _Forward(NamedTuple):
    """The transform, for both rings."""

    zero: float
    factor: float
    shift: float

    def run(self, src: Any, dst: Any) -> None:
        with forks.importing:
            from imrestore_kernels.cpu.anscombe import anscombe

        anscombe(src, dst, *self)

    def formula(self, xp: Any, counts: Any) -> Any:
        counts -= self.zero
        counts /= self.factor
        counts += self.shift
        xp.maximum(counts, 0, out=counts)
        xp.sqrt(counts, out=counts)
        counts *= 2
        return counts


class _Inverse(NamedTuple):
    """The inverses, for both rings."""

    zero: float
    factor: float
    variance: float
    method: str

    @property
    def less(self) -> float:
        return (3 / 8 if self.method == "algebraic" else 1 / 8) + self.variance

    @property
    def least(self) -> float:
        return 0.0 if self.method == "exact" and self.table is None else -math.inf

    @property
    def table(self) -> _Table | None:
        return _table(self.variance) if self.method == "exact" and self.variance <= _TABLE_VARIANCE else None

    def run(self, src: Any, dst: Any) -> None:
        with forks.importing:
            from imrestore_kernels.cpu.anscombe import inverse_anscombe

        inverse_anscombe(src, dst, self.zero, self.factor, self.less, self.least, self.table)

    def formula(self, xp: Any, values: Any) -> Any:
        counts = values * values
        counts /= 4
        counts -= self.less
        xp.maximum(counts, self.least, out=counts)
        if self.table is not None:
            counts = xp.where(values < self.table.last, _looked_up(xp, values, self.table), counts)
        counts *= self.factor
        counts += self.zero
        return counts


def _looked_up(xp: Any, values: Any, table: _Table) -> Any:
    """Straight lines between the points of the table; the first signal below it."""
    place = xp.fmin(xp.fmax((values - table.first) / table.step, 0), _TABLE_POINTS - 1)
    index = xp.minimum(place.astype(np.int32), _TABLE_POINTS - 2)
    signals = xp.asarray(table.signals, values.dtype)
    left = signals[index]
    return left + (place - index).astype(values.dtype) * (signals[index + 1] - left)


@functools.lru_cache(maxsize=64)
def _table(variance: float) -> _Table:
    """The exact inverse from no counts to _TABLE_END, by summing the mean of the transform over all probabilities."""
    shift = 3 / 8 + variance
    roots = np.linspace(math.sqrt(shift), math.sqrt(_TABLE_END + shift), _TABLE_POINTS // 2)
    signals = roots**2 - shift  # in even steps of the transform, nearly
    signals[0], signals[-1] = 0.0, _TABLE_END
    most = int(_TABLE_END + 12 * math.sqrt(_TABLE_END)) + 1  # more counts have a probability below 1e-20
    counts = np.arange(most + 1.0)
    log_factorial = np.concatenate([[0.0], np.log(counts[1:]).cumsum()])
    logarithms = np.log(np.maximum(signals, np.finfo(np.float64).tiny))
    probability = np.exp(counts * logarithms[:, None] - signals[:, None] - log_factorial)
    means = probability @ _mean_root(counts + shift, math.sqrt(variance))
    # In exactly even steps a value's place in the table is a division: np.interp, which searches, took 2.5 times as long.
    even = np.linspace(means[0], means[-1], _TABLE_POINTS)
    inverse: NDArray[np.float64] = np.interp(even, means, signals)
    inverse.flags.writeable = False  # threads share it
    return _Table(inverse, float(means[0]), float(even[1] - even[0]))


def _mean_root(centre: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """Mean of 2 sqrt(max(x, 0)) for normal x: centres >= 3/8 and one standard deviation."""
    roots: NDArray[np.float64] = 2 * np.sqrt(centre)
    if spread == 0:
        return roots
    far = centre / spread
    with forks.importing:  # NumPy, too, imports some of its modules late
        from numpy.polynomial.hermite_e import hermegauss
    nodes, weights = hermegauss(16)  # all within 7 standard deviations
    weights = weights / weights.sum()
    smooth = (np.sqrt(np.maximum(1 + nodes / np.maximum(far, 10.0)[:, None], 0)) * weights).sum(axis=1)
    # Nearer to zero the root has a kink. With x = u^2 the integrand is smooth and even: the trapezoidal rule is exact.
    near = np.minimum(far, 10.0)
    u = np.linspace(0, math.sqrt(20.0), 1001)
    density = np.exp(-0.5 * (u * u - near[:, None]) ** 2) / math.sqrt(2 * math.pi)
    kinked = 2 * math.sqrt(spread) * (2 * u * u * density).sum(axis=1) * u[1]
    mean: NDArray[np.float64] = np.where(far > 10.0, roots * smooth, kinked)
    return mean
