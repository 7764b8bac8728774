"""BM3D from an image to planes and back, for CPU and CUDA alike: what a backend adds is `Backend`, its stages and its Gaussian.

Planes are float32 in units of a power of two near the noise's standard deviation, so that no square of a difference that matters
overflows or vanishes. Colours become planes that are less alike: of three by the opponent transform of CBM3D (Dabov, Foi, Katkovnik
and Egiazarian, "Color image denoising via sparse 3D collaborative filtering with grouping constraint in luminance-chrominance
space", ICIP 2007), of any other number by the principal components of the channels, each divided by its noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.bm3d_noise import WHITENING_RADIUS, Noise, correlation_of, whitening_of
from imrestore_kernels.bm3d_profiles import SIDE, TILE_COLUMNS, Profile, Stage, rows_of_strip, used_stages
from imrestore_kernels.borders import MODES

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Progress = Callable[[float], object] | None

_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 4, -1 / 2, 1 / 4]])
#: Samples that are filtered at a time: larger images go in bands of rows, whose planes take 20 bytes a sample.
_BAND_SAMPLES = 2**24
#: Missing samples are filled in from those around them: standard deviation and radius, the second for what is then left.
_FILLS = ((1.0, 4), (12.0, 40))
#: The variance of a plane or a patch is at least this part of plane 0's: quotients stay finite.
_LEAST_VARIANCE = 1e-8
#: Noise is taken to be at least and at most so many times the largest sample: float32 has seven digits.
_BOUNDS = (1e-9, 1e9)
#: Channels are told apart by at most so many pixels, and by noise that differs by so much at most.
_COMPARED, _UNLIKE = 2**18, 1e-3
#: Rows that are looked at together.
_ROWS = 256


class Backend(NamedTuple):
    """What differs between CPU and CUDA."""

    xp: Any
    run_stage: Callable[[Stage, Any, Any, Noise, Progress], Any]
    hold: Callable[[Any], Any]  # planes as its stages like them
    gaussian: Callable[..., None]  # the kernel of that name


class Request(NamedTuple):
    """What the caller wants.

    Attributes
    ----------
    sigmas : tuple of float
        Standard deviation of the noise in each channel.
    sigma_map : array or None
        (images, H, W, 1 or C), instead of ``sigmas``, which then hold its root mean square.
    autocorrelation : ndarray or None
        (2 R + 1, 2 R + 1), of the noise by distance, 1 at its middle; None for white noise.
    profile : Profile
    stages : int
        1 or 2: whether the first or all.
    progress : callable or None
    guide : array or None
        (images, H, W, C), an estimate that takes the first stage's place.
    """

    sigmas: tuple[float, ...]
    sigma_map: Any
    autocorrelation: Any
    profile: Profile
    stages: int
    progress: Progress = None
    guide: Any = None

    @property
    def used(self) -> tuple[Stage, ...]:
        return used_stages(self.profile, self.stages, self.autocorrelation is not None, self.guide is not None)


def restore(backend: Backend, request: Request, src: Any, dst: Any, where: Any, basic: Any = None) -> None:
    """BM3D of ``src`` (images, H, W, C) to ``dst``; ``basic``, if given, gets the first stage's result."""
    with np.errstate(all="ignore"):  # samples that are left out, infinities and numbers next to zero
        _restore(backend, request, src, dst, where, basic)


def _restore(backend: Backend, request: Request, src: Any, dst: Any, where: Any, basic: Any) -> None:
    bands = _bands(src.shape, request)
    taps = None  # of a filter to match behind
    if request.guide is None and request.autocorrelation is not None:
        taps = whitening_of(request.autocorrelation)
    parts = src.shape[0] * len(bands)
    for i in range(src.shape[0]):
        colours = Colours.of(backend.xp, src[i], None if where is None else where[i], request.sigmas)
        for j, band in enumerate(bands):
            rows = slice(band.first, band.last)
            planes = backend.hold(_planes(backend, colours, src[i, rows], None if where is None else where[i, rows]))
            noise = _noise(backend.xp, request, colours, (i, rows), planes.shape)
            progress = part_of(request.progress, i * len(bands) + j, parts)
            guide = None if taps is None else _whitened(backend.xp, planes[0], taps)[None]
            if request.guide is not None:
                guide = _planes(backend, colours, request.guide[i, rows], None)
            results = _stages(backend, request, planes, guide, noise, progress)
            last = len(request.used) - 1
            for number, result in enumerate(results):
                target = dst if number == last else None if number else basic
                if target is not None:
                    own = result[:, band.start - band.first : band.stop - band.first, : src.shape[2]]
                    write(backend.xp, target[i, band.start : band.stop], colours.back(backend.xp, own))
    if basic is not None and request.stages == 1:
        basic[...] = dst


def _stages(
    backend: Backend, request: Request, planes: Any, guide: Any, noise: Callable[[Stage], Noise], progress: Progress
) -> Iterator[Any]:
    for i, stage in enumerate(request.used):
        guide = backend.run_stage(stage, planes, guide, noise(stage), part_of(progress, i, len(request.used)))
        yield guide


def reach_of(stages: Sequence[Stage], masked: bool, correlated: bool = False) -> int:
    """Samples beyond a pixel that its result depends on: in each stage a patch that covers it, that patch's reference, and all
    candidates of the reference. A patch begins up to 7 pixels before what it covers, and ends as far behind: once in all."""
    fill = (sum(radius for _, radius in _FILLS) if masked else 0) + (WHITENING_RADIUS if correlated else 0)
    return fill + sum(SIDE - 1 + 2 * (stage.window // 2) for stage in stages)


def grid_of(stages: Sequence[Stage]) -> tuple[int, int]:
    """Rows and columns after which the order of additions repeats on the CPU: images cut there have the bits of the whole."""
    rows = math.lcm(*(2 * rows_of_strip(stage.step, stage.window) * stage.step for stage in stages))
    return rows, math.lcm(*(TILE_COLUMNS * stage.step for stage in stages))


class _Band(NamedTuple):
    start: int  # rows that are its own
    stop: int
    first: int  # rows it reads
    last: int


def _bands(shape: tuple[int, ...], request: Request) -> list[_Band]:
    _, height, width, channels = shape
    period, _ = grid_of(request.used)
    rows = max(1, _BAND_SAMPLES // (width * channels * period)) * period
    reach = reach_of(request.used, True, request.autocorrelation is not None)
    above = -(-reach // period) * period
    if rows + above + reach >= height:
        return [_Band(0, height, 0, height)]
    starts = range(0, height, rows)
    return [_Band(y, min(y + rows, height), max(0, y - above), min(y + rows + reach, height)) for y in starts]


def part_of(progress: Progress, part: int, parts: int) -> Progress:
    """What hears of the whole, for one of equal parts."""
    return None if progress is None else lambda done: progress((part + done) / parts)


class Colours(NamedTuple):
    """How channels become planes: ``planes = forward channels``, times a power of two."""

    forward: Matrix
    inverse: Matrix
    scale: float
    least: float  # bounds of the noise's standard deviation beyond which it makes no difference
    most: float
    compute: np.dtype[Any]  # in which channels are put together

    @classmethod
    def of(cls, xp: Any, image: Any, mask: Any, given: Sequence[float]) -> Colours:
        largest = _largest(xp, image, mask) or 1.0
        least, most = largest * _BOUNDS[0], min(largest * _BOUNDS[1], float(np.finfo(np.float64).max))
        sigmas = np.clip(given, least, most)
        single = image.dtype.itemsize <= 2 or image.dtype == np.float32
        fixed = {1: np.eye(1), 3: _OPPONENT}
        forward = fixed[len(sigmas)] if len(sigmas) in fixed else _principal(xp, image, mask, sigmas)
        strongest = float(sigmas.max())
        exponent = -math.frexp(strongest * math.sqrt(float(forward[0] ** 2 @ (sigmas / strongest) ** 2)))[1]
        scale = 2.0 ** max(-100, min(exponent, 100)) if single else 2.0 ** max(-1000, min(exponent, 1000))
        return cls(forward, np.linalg.inv(forward), scale, least, most, np.dtype(np.float32 if single else np.float64))

    def planes(self, xp: Any, image: Any) -> Any:
        """(C, H, W), float32, of (H, W, C)."""
        channels = [image[..., c].astype(self.compute, copy=False) for c in range(image.shape[-1])]
        factors = (self.forward * self.scale).astype(self.compute)
        planes = _stacked(xp, [_combined(row, channels).astype(np.float32, copy=False) for row in factors], 0)
        if image.dtype.kind != "f" or math.isfinite(float(planes.sum())):  # a sum takes a fifth of what the rest does
            return planes
        return xp.where(xp.isfinite(planes), planes, np.float32(np.nan))

    def back(self, xp: Any, planes: Any) -> Any:
        """(H, W, C), in the image's units."""
        planes = planes.astype(self.compute, copy=False)
        return _stacked(xp, [_combined(row, planes) for row in (self.inverse / self.scale).astype(self.compute)], -1)

    def variances(self, sigmas: Sequence[Any]) -> list[Any]:
        """Of planes, from the standard deviations of channels."""
        bounded = [s.clip(self.least, self.most) if hasattr(s, "clip") else min(max(s, self.least), self.most) for s in sigmas]
        squares = [(s * self.scale) ** 2 for s in bounded]
        return [_combined(row, squares) for row in self.forward**2]


def _stacked(xp: Any, planes: list[Any], axis: int) -> Any:
    """Planes along a new axis; one without a copy."""
    if len(planes) > 1:
        return xp.stack(planes, axis=axis)
    return planes[0][None] if axis == 0 else planes[0][..., None]


def _combined(factors: Any, channels: Sequence[Any]) -> Any:
    """Sum of channels, each times its factor."""
    total = None
    for factor, channel in zip(factors, channels, strict=True):
        if factor:
            part = channel * factor
            total = part if total is None else total + part
    return total


def _principal(xp: Any, image: Any, mask: Any, sigmas: Matrix) -> Matrix:
    """Principal components of the channels in units of their noise, the most unlike noise first: all have the same noise."""
    height, width, channels = image.shape
    strongest = float(sigmas.max())
    relative = np.maximum(sigmas / strongest, _UNLIKE)
    step = max(1, math.isqrt(height * width // _COMPARED))
    pixels = image[::step, ::step].reshape(-1, channels).astype(np.float64)
    known = xp.isfinite(pixels).all(-1)
    if mask is not None:
        known &= mask[::step, ::step].reshape(-1, channels).all(-1)
    pixels = pixels[known] / strongest / xp.asarray(relative)
    if len(pixels) < 2:
        return np.diag(1 / relative)
    pixels = pixels - pixels.mean(0)
    _, vectors = np.linalg.eigh(as_numpy(pixels.T @ pixels / len(pixels)))
    vectors = vectors[:, ::-1].T
    largest = np.take_along_axis(vectors, abs(vectors).argmax(1)[:, None], 1)
    forward: Matrix = vectors * np.sign(largest) / relative
    return forward


def _largest(xp: Any, image: Any, mask: Any) -> float:
    """Of the samples' sizes, where they are finite and take part."""
    result = 0.0
    for y in range(0, len(image), _ROWS):
        rows = image[y : y + _ROWS]
        known = None if mask is None else mask[y : y + _ROWS] != 0
        if rows.dtype.kind == "f" and not (known is None and math.isfinite(float(rows.max()) - float(rows.min()))):
            known = xp.isfinite(rows) if known is None else known & xp.isfinite(rows)
        if known is not None:
            rows = xp.where(known, rows, rows.dtype.type(0))
        result = max(result, float(rows.max()), -float(rows.min()))
    return result


def as_numpy(array: Any) -> Matrix:
    return array if isinstance(array, np.ndarray) else array.get()


def _planes(backend: Backend, colours: Colours, image: Any, mask: Any) -> Any:
    """Planes of a band, missing samples filled in, at least as large as a patch."""
    xp = backend.xp
    if mask is not None:
        samples = (image.astype(colours.compute) * colours.compute.type(colours.scale)).astype(np.float32)
        filled = _filled(backend, samples, mask).astype(colours.compute) / colours.compute.type(colours.scale)
        image = xp.where(mask != 0, image.astype(colours.compute), filled)
    planes = colours.planes(xp, image)
    missing = [max(0, SIDE - n) for n in planes.shape[1:]]
    if any(missing):
        planes = xp.pad(planes, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")
    return xp.ascontiguousarray(planes)


def _filled(backend: Backend, samples: Any, mask: Any) -> Any:
    """Samples, (H, W, C), with weighted means of those around them where they are missing; NaN where there are none."""
    xp = backend.xp
    known = xp.ascontiguousarray(mask)[None]
    samples = xp.where(known != 0, xp.ascontiguousarray(samples)[None], np.float32(0))
    for sigma, radius in _FILLS:
        if bool((known != 0).all()):
            break
        taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        taps /= taps.sum()
        means = xp.empty_like(samples)
        backend.gaussian(samples, means, (taps, taps), MODES["reflect"], 0.0, known, True)
        samples = xp.where(known != 0, samples, means)
        known = xp.isfinite(samples).astype(np.uint8)
        samples = xp.where(known != 0, samples, np.float32(0))
    return xp.where(known != 0, samples, np.float32(np.nan))[0]


def _whitened(xp: Any, plane: Any, taps: Matrix) -> Any:
    """A plane behind a filter; every sample is summed in the same order, so that bands do not differ."""
    height, width = plane.shape
    padded = xp.pad(plane, WHITENING_RADIUS, mode="symmetric")
    result = xp.zeros_like(plane)
    for dy, row in enumerate(taps.astype(np.float32)):
        for dx, tap in enumerate(row):
            result += padded[dy : dy + height, dx : dx + width] * tap
    return result


def _noise(xp: Any, request: Request, colours: Colours, at: tuple[int, slice], shape: tuple[int, ...]) -> Callable[[Stage], Noise]:
    """What a stage is told of the noise in planes of some shape."""
    variances = colours.variances(request.sigmas)
    least = _LEAST_VARIANCE * variances[0]
    local = None
    if request.sigma_map is not None:
        sigmas = request.sigma_map[at]
        missing = [n - m for n, m in zip(shape[1:], sigmas.shape, strict=False)]
        sigmas = xp.pad(sigmas, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
        sigmas = xp.broadcast_to(sigmas, (*sigmas.shape[:2], shape[0]))
        planes = colours.variances([sigmas[..., c] for c in range(shape[0])])
        local = xp.stack([_over_patches(xp, plane) for plane in planes]).clip(least, None).astype(np.float32)

    def of(stage: Stage) -> Noise:
        correlation = None
        if request.autocorrelation is not None:
            one = correlation_of(request.autocorrelation, stage.transform, 2 * (stage.window // 2))
            correlation = xp.asarray(np.repeat(one.astype(np.float32)[None], shape[0], 0))
        factors = np.array([1.0] + [stage.colour] * (shape[0] - 1), np.float32)
        places = None if local is None else local * xp.asarray(factors)[:, None, None]
        numbers = tuple(max(float(v), least) * float(f) for v, f in zip(variances, factors, strict=True))
        return Noise(numbers, places, correlation)

    return of


def _over_patches(xp: Any, plane: Any) -> Any:
    """Means over the patches that begin at each pixel; each summed anew, so that bands do not differ."""
    height, width = plane.shape
    down = sum(plane[i : height - SIDE + 1 + i] for i in range(1, SIDE)) + plane[: height - SIDE + 1]
    along = sum(down[:, i : width - SIDE + 1 + i] for i in range(1, SIDE)) + down[:, : width - SIDE + 1]
    return along / SIDE**2


def write(xp: Any, dst: Any, values: Any) -> None:
    """Numbers to the image's dtype: integers round half to even and saturate, a NaN is 0."""
    with np.errstate(all="ignore"):
        if dst.dtype.kind == "f":
            dst[...] = values
            return
        limits = np.iinfo(dst.dtype)
        rounded = xp.nan_to_num(xp.rint(values), nan=0.0, posinf=np.inf, neginf=-np.inf)
        low, high = (rounded.dtype.type(n) for n in (limits.min, limits.max))
        inside = xp.where((rounded > low) & (rounded < high), rounded, 0).astype(dst.dtype)
        dst[...] = xp.where(rounded >= high, limits.max, xp.where(rounded <= low, limits.min, inside))
