"""BM3D as `imrestore_kernels.bm3d_profiles` and `imrestore_kernels.bm3d_noise` define it: reference by reference, in float64.

Independent of the package but for the tuples of parameters: the matrices are built here from the wavelet's taps, from the cosine's
formula and from Haar's recursion. Only distances are rounded to float32, because the definition compares them so. Images of whole
numbers up to 255 have the same distances in float32 and float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SHIFT_BITS, SIDE, HardThreshold, Profile, Stage, Wiener
from numpy.lib.stride_tricks import sliding_window_view

Position = tuple[int, int]


def bm3d_planes(profile: Profile, image: np.ndarray, noise: Noise | tuple[Noise, Noise], stages: int) -> np.ndarray:
    """The first of the stages, or all: (C, H, W).

    A `Noise` with ``correlation`` belongs to one transform, so it takes two of them where the stages' transforms differ.
    """
    first, second = (noise, noise) if isinstance(noise, Noise) else noise
    basic = stage(profile.hard, image, None, first)
    if stages == 1:
        return basic
    if second.correlation is not None:
        return stage((profile.refine or profile.wiener)._replace(share=0.0), image, basic, second)
    result = stage(profile.wiener, image, basic, second)
    return result if profile.refine is None else stage(profile.refine, image, result, second)


def stage(parameters: Stage, image: np.ndarray, guide: np.ndarray | None, noise: Noise) -> np.ndarray:
    """One stage: the first without a guide, the second with the first's result for one."""
    assert isinstance(parameters, HardThreshold) == (guide is None)
    image = np.asarray(image, np.float64)
    guide = None if guide is None else np.asarray(guide, np.float64)
    variances = patch_variances(noise, image.shape)
    found = groups(parameters, (image if guide is None else guide)[0], variances[0])
    matrix = transform_matrix(parameters.transform)
    kaiser = np.outer(np.kaiser(SIDE, parameters.beta), np.kaiser(SIDE, parameters.beta))
    result = np.empty(image.shape)
    for plane in range(len(image)):
        weighted, weights = np.zeros(image.shape[1:]), np.zeros(image.shape[1:])
        for members in found.values():
            v = coefficient_variances(noise, variances, plane, members)
            c = forward(matrix, patches_at(image[plane], members))
            e = None if guide is None else forward(matrix, patches_at(guide[plane], members))
            g = gains(parameters, c, e, v)
            result_of_group, left = g * c, np.sum(g**2 * v)  # gains of the first stage are 0 and 1
            if e is not None and noise.correlation is None:
                others, left_of_others = adaptive(parameters, c, e, float(np.mean(v)))
                result_of_group = (1 - parameters.share) * result_of_group + parameters.share * others
                left = (1 - parameters.share) * left + parameters.share * left_of_others
            weight = kaiser / left
            for (y, x), patch in zip(members, backward(matrix, result_of_group), strict=True):
                weighted[y : y + SIDE, x : x + SIDE] += weight * patch
                weights[y : y + SIDE, x : x + SIDE] += weight
        result[plane] = weighted / weights
    return result


def gains(parameters: Stage, c: np.ndarray, e: np.ndarray | None, v: np.ndarray) -> np.ndarray:
    """By what the coefficients c of a group are multiplied; e are those of the guide."""
    if isinstance(parameters, HardThreshold):
        g = np.where(np.abs(c) < parameters.threshold * np.sqrt(v), 0.0, 1.0)
    else:
        g = e**2 / (e**2 + parameters.noise * v)
    g[0, 0, 0] = 1
    return g


def adaptive(parameters: Wiener, c: np.ndarray, e: np.ndarray, variance: float) -> tuple[np.ndarray, float]:
    """Wiener's filter in the principal components of the guide's patches, from their covariances, with what exceeds noise of the
    rest; and the noise that it leaves."""
    size = len(c)
    noisy, guide = (np.array(one).reshape(size, SIDE**2) for one in (c, e))
    mean = noisy[0, 0]
    noisy[0, 0] = guide[0, 0] = 0
    covariance = guide.T @ guide / size
    a = covariance @ np.linalg.inv(covariance + parameters.adaptive * variance * np.eye(SIDE**2))
    rest = noisy - noisy @ a.T
    expected = parameters.excess * size * variance * (SIDE**2 - np.trace(a))
    part = max(0.0, 1 - expected / max(np.sum(rest**2), np.finfo(np.float32).tiny))
    a = a + part * (np.eye(SIDE**2) - a)
    result = noisy @ a.T
    result[0, 0] = mean
    return result.reshape(c.shape), (1 + np.trace(a)) * variance


# Matching


def groups(parameters: Stage, matched: np.ndarray, variance_at: np.ndarray | float) -> dict[Position, list[Position]]:
    """First pixels of the patches of every reference's group, itself first. ``variance_at`` is (H - 7, W - 7), or one number."""
    patches = sliding_window_view(np.asarray(matched, np.float64), (SIDE, SIDE))
    variance_at = np.broadcast_to(variance_at, patches.shape[:2])
    return {
        (y, x): group_of(parameters, patches, y, x, float(variance_at[y, x]))
        for y in reference_positions(patches.shape[0] - 1, parameters.step)
        for x in reference_positions(patches.shape[1] - 1, parameters.step)
    }


def reference_positions(last: int, step: int) -> list[int]:
    return [*range(0, last, step), last]


def group_of(parameters: Stage, patches: np.ndarray, y: int, x: int, variance: float) -> list[Position]:
    half = parameters.window // 2
    top, left = max(y - half, 0), max(x - half, 0)
    near = patches[top : y + half + 1, left : x + half + 1]
    distances = compared(np.sum((near - patches[y, x]) ** 2, axis=(2, 3)))
    limit = compared(min(parameters.match * SIDE**2 * variance, float(np.finfo(np.float32).max)))
    candidate = distances <= limit  # a NaN is not
    candidate[y - top, x - left] = True
    ranked = []
    for row, column in np.argwhere(candidate):
        dy, dx = int(row) + top - y, int(column) + left - x
        ranked.append((distances[row, column], dy**2 + dx**2, dy, dx))
    ranked.sort()
    size = 1
    while 2 * size <= min(len(ranked), parameters.group):
        size *= 2
    return [(y + dy, x + dx) for _, _, dy, dx in ranked[:size]]


def compared(distance: np.ndarray | float) -> np.ndarray:
    """A distance as it is compared: float32 whose last bits are 0."""
    with np.errstate(over="ignore"):
        rounded = np.asarray(distance, np.float64).astype(np.float32)
    return (rounded.view(np.uint32) >> SHIFT_BITS << SHIFT_BITS).view(np.float32)


def patches_at(plane: np.ndarray, members: Sequence[Position]) -> np.ndarray:
    return np.stack([plane[y : y + SIDE, x : x + SIDE] for y, x in members])


# Noise


def patch_variances(noise: Noise, shape: tuple[int, ...]) -> np.ndarray:
    """(C, H - 7, W - 7): the noise variance of the patch that begins at each pixel."""
    planes, height, width = shape
    if noise.local is not None:
        return np.asarray(noise.local, np.float64)
    return np.stack([np.full((height - SIDE + 1, width - SIDE + 1), noise.variances[plane]) for plane in range(planes)])


def coefficient_variances(noise: Noise, variances: np.ndarray, plane: int, members: Sequence[Position]) -> np.ndarray:
    """The noise variance of a group's coefficients, (K, 8, 8), from all covariances of its patches' coefficients."""
    q = np.array(members)
    v = variances[plane][tuple(q.T)]
    if noise.correlation is None:
        r = np.eye(len(members))[:, :, np.newaxis, np.newaxis]
    else:
        shift = q[np.newaxis] - q[:, np.newaxis] + noise.correlation.shape[1] // 2  # [i, j] is q_j - q_i
        r = noise.correlation[plane, shift[..., 0], shift[..., 1]].astype(np.float64)
    h = haar_matrix(len(members))
    result = np.einsum("ni,nj,ij,ijkl->nkl", h, h, np.sqrt(np.outer(v, v)), r, optimize=True)
    return np.broadcast_to(result, (len(members), SIDE, SIDE))


def correlation_of(transform: str, kernel: np.ndarray, reach: int) -> np.ndarray:
    """r of `Noise.correlation` for one plane, (2 reach + 1, 2 reach + 1, 8, 8), of white noise that is filtered by ``kernel``.

    A coefficient is the sum of the white samples times the kernel spread by the coefficient's own taps; of two patches, the
    covariance is the product of these sums' weights where they meet. It is divided by the variance of a pixel.
    """
    matrix = transform_matrix(transform)
    rows, columns = kernel.shape
    r = np.empty((2 * reach + 1, 2 * reach + 1, SIDE, SIDE))
    for ky, kx in np.ndindex(SIDE, SIDE):
        weights = np.zeros((SIDE + rows - 1, SIDE + columns - 1))
        for y, x in np.ndindex(rows, columns):
            weights[y : y + SIDE, x : x + SIDE] += kernel[y, x] * np.outer(matrix[ky], matrix[kx])
        r[:, :, ky, kx] = scipy.signal.correlate2d(np.pad(weights, reach), weights, mode="valid")
    return r / np.sum(kernel**2)


# Transforms


def forward(matrix: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Coefficients (K, 8, 8) of a group's patches (K, 8, 8)."""
    return np.einsum("ni,ijk->njk", haar_matrix(len(patches)), matrix @ patches @ matrix.T)


def backward(matrix: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(matrix)
    return inverse @ np.einsum("ni,njk->ijk", haar_matrix(len(coefficients)), coefficients) @ inverse.T


def transform_matrix(name: str) -> np.ndarray:
    return {"bior1.5": bior15_matrix, "dct": dct_matrix}[name]()


def bior15_matrix() -> np.ndarray:
    """The wavelet of unit vectors, one a column; then rows of norm 1."""
    matrix = np.array([bior15(unit) for unit in np.eye(SIDE)]).T
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def bior15(x: np.ndarray) -> np.ndarray:
    """Biorthogonal wavelet 1.5 of periodic samples, down to a single sum; the finest details last."""
    if len(x) == 1:
        return x
    taps = np.array([3, -3, -22, 22, 128, 128, 22, -22, -3, 3]) / (128 * np.sqrt(2))
    pairs = range(0, len(x), 2)
    sums = np.array([sum(taps[k] * x[(pair + k - 4) % len(x)] for k in range(10)) for pair in pairs])
    details = np.array([(x[pair] - x[pair + 1]) / np.sqrt(2) for pair in pairs])
    return np.concatenate([bior15(sums), details])


def dct_matrix() -> np.ndarray:
    k, x = np.indices((SIDE, SIDE))
    return np.where(k == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE)) * np.cos(np.pi * (2 * x + 1) * k / (2 * SIDE))


def haar_matrix(count: int) -> np.ndarray:
    """Orthonormal Haar transform of a power of two of samples: the pairs' sums transformed again, then their differences."""
    if count == 1:
        return np.ones((1, 1))
    pairs = np.eye(count // 2)
    sums, differences = (np.kron(pairs, np.array([[1, sign]])) / np.sqrt(2) for sign in (1, -1))
    return np.concatenate([haar_matrix(count // 2) @ sums, differences])
