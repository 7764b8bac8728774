"""BM3D of images: the stages of `tests.oracles.bm3d` between the planes they work on and the pixels a caller sees.

Independent of the package but for the tuples of parameters. What is compared best are whole numbers up to 127 and a sigma like
24.844: their distances are exact in float32, so that groups are the same, and no coefficient is at the threshold. Otherwise a
distance next to a limit may make another group in float32; of a few hundred references none is expected to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SIDE, Profile

from tests.oracles.bm3d import stage
from tests.oracles.windows import Expected, filtered_axes, gaussian, saturate, valid_samples

#: Brightness and two differences of red, green and blue (CBM3D).
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.array([[3], [2], [4]])
#: Means that missing samples are filled in with: sigma and radius, the second for what the first does not reach.
FILLS = ((1.0, 4), (12.0, 40))
#: Noise counts as at least and at most so many times the largest sample.
BOUNDS = (1e-9, 1e9)
#: The variance of a plane is at least this part of that of the first.
LEAST_VARIANCE = 1e-8
#: Of the largest sample: 40 float32 roundings of a stage (`tests.test_bm3d_kernel`), two more where missing samples are filled in
#: or colours are put together; three colours are sums of up to 8/3 as large as planes.
ROUNDINGS = {1: 44 * 2.0**-24, 3: 44 * 2.0**-24 * 8 / 3}


def bm3d(
    image: np.ndarray,
    sigma: float | Sequence[float],
    *,
    profile: Profile,
    stages: int,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
    basic: np.ndarray | None = None,
) -> Expected:
    """Of both stages, ``basic`` is the first's result: in it the second finds its groups. It is float32 or float64 and at least as
    large as a patch, since what the first stage made of mirrored pixels is not in it; of colours, groups may differ."""
    filtered = sorted(filtered_axes(image.ndim, axes, channel_axis))
    channel = [] if channel_axis is None else [channel_axis % image.ndim]
    order = [a for a in range(image.ndim) if a not in filtered + channel] + filtered + channel

    def pictures(array: np.ndarray) -> np.ndarray:
        """(images, H, W, C)."""
        moved = array.transpose(order)
        height, width = (array.shape[a] for a in filtered)
        return moved.reshape(-1, height, width, array.shape[channel[0]] if channel else 1)

    images, valid = pictures(image), pictures(valid_samples(image, where, nan_policy))
    assert stages == 1 or (basic is not None and profile.refine is None)  # a third stage would need the second's result
    guides = [None] * len(images) if stages == 1 else list(pictures(basic))
    restored = [_restored(*both, sigma, profile, guide) for *both, guide in zip(images, valid, guides, strict=True)]

    def as_given(bounds: list[np.ndarray]) -> np.ndarray:
        moved = np.stack(bounds).reshape([image.shape[a] for a in order])
        return np.ascontiguousarray(moved.transpose(np.argsort(order)))

    low, high = (as_given([value + sign * slack for value, slack in restored]) for sign in (-1, 1))
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):
            low, high = (bound.astype(image.dtype) for bound in (low, high))
        return Expected(low, high, image.dtype)
    low, high = (saturate(np.rint(np.nan_to_num(bound, nan=0.0)), image.dtype) for bound in (low, high))
    return Expected(low, high, image.dtype)


def _restored(
    image: np.ndarray, valid: np.ndarray, sigma: float | Sequence[float], profile: Profile, basic: np.ndarray | None
) -> tuple[np.ndarray, np.longdouble]:
    """Of an image (H, W, C), and how far from that a right answer may be."""
    height, width, channels = image.shape
    known = np.abs(image[valid & np.isfinite(image)].astype(np.float64))
    largest = known.max() if known.any() else 1.0
    sigmas = np.clip(np.broadcast_to(sigma, channels), largest * BOUNDS[0], largest * BOUNDS[1])
    mixing = {1: np.eye(1), 3: OPPONENT}[channels]
    unit = 2.0 ** np.frexp(sigmas.max())[1]  # so that no square overflows; a power of two changes no digit

    def planes(array: np.ndarray) -> np.ndarray:
        mixed = np.stack([sum(f * array[..., c] / unit for c, f in enumerate(row) if f) for row in mixing]).astype(np.float32)
        mixed[~np.isfinite(mixed)] = np.nan
        return np.pad(mixed, ((0, 0), *((0, max(0, SIDE - n)) for n in (height, width))), "symmetric")

    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        noisy = planes(_filled(image.astype(np.float64), valid))
        variances = mixing**2 @ (sigmas / unit) ** 2
        parameters = profile.hard if basic is None else profile.wiener
        counted = np.maximum(variances, variances[0] * LEAST_VARIANCE)
        counted[1:] *= parameters.colour
        guide = None if basic is None else planes(basic.astype(np.float64))
        result = stage(parameters, noisy, guide, Noise(tuple(counted.tolist())))
    pixels = np.einsum("cp,phw->hwc", np.linalg.inv(mixing), result[:, :height, :width]).astype(np.longdouble) * unit
    step = np.longdouble(np.finfo(image.dtype).smallest_subnormal if image.dtype.kind == "f" else 0)
    return pixels, np.longdouble(largest) * ROUNDINGS[channels] + step


def _filled(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Missing samples as means of those around them, channel by channel; NaN where there is none near."""
    result, known = image, valid
    for sigma, radius in FILLS:
        if known.all():
            break
        means = gaussian(result, sigma, radius=radius, axes=(0, 1), where=known)
        result = np.where(known, result, ((means.low + means.high) / 2).astype(np.float64))
        known = np.isfinite(result)
    return np.where(valid, image, np.where(known, result, np.nan))
