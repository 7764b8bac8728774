"""The second-order degradation of Real-ESRGAN (Wang, Xie, Dong and Shan 2021) for x4 in torch, a batch at a time.

Steps, chances and ranges are those of the published code (Real-ESRGAN, BSD licence, and BasicSR, Apache-2.0): kernels are drawn
in NumPy for every sample, as its data loader does, while factors and methods of resizing and the kind of noise are drawn once
for a batch. Left out are what surrounds the degradation: sharpening the target, cropping, and the pool of earlier pairs.
"""

from __future__ import annotations

import itertools
import math
import random
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensor = Any  # torch's, which has no types here

SCALE = 4
#: Pixels of a kernel that is padded, so that those of a batch have one size; they are drawn with 7 to 21.
KERNEL = 21
KERNEL_SIZES = range(7, KERNEL + 1, 2)
KINDS = ("gaussian", "gaussian", "generalized", "generalized", "plateau", "plateau")
ISOTROPIC = (True, False, True, False, True, False)
KIND_CHANCES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
SINC, FINAL_SINC, SECOND_BLUR = 0.1, 0.8, 0.8
BETA_GENERALIZED, BETA_PLATEAU = (0.5, 4.0), (1.0, 2.0)
GAUSSIAN, GREY = 0.5, 0.4
QUALITY = (30.0, 95.0)
METHODS = ("area", "bilinear", "bicubic")


class Order(NamedTuple):
    """What the first and the second time differ in."""

    sigma: tuple[float, float]
    resize_chances: tuple[float, float, float]  # up, down, keep
    resize: tuple[float, float]
    noise: tuple[float, float]  # in 255
    poisson: tuple[float, float]


FIRST = Order((0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1, 30), (0.05, 3.0))
SECOND = Order((0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 25), (0.05, 2.5))


class Dice(NamedTuple):
    """The generators that the published code draws from; torch's own is the third."""

    python: random.Random
    numpy: np.random.RandomState


def degrade(batch: Tensor, seed: int) -> Tensor:
    """Low-resolution patches of a batch (n, 3, height, width) of float32 from 0 to 1."""
    import torch

    dice = Dice(random.Random(seed), np.random.RandomState(seed))
    torch.manual_seed(seed)
    with torch.no_grad():
        drawn = zip(*(kernels_of(dice) for _ in batch), strict=True)
        return degrade_with(batch, [torch.from_numpy(np.stack(kernels)) for kernels in drawn], dice)


def degrade_with(batch: Tensor, kernels: list[Tensor], dice: Dice) -> Tensor:
    from torch.nn.functional import interpolate

    (first, second, final), (python, numpy) = kernels, dice
    height, width = (n // SCALE for n in batch.shape[2:])
    out = filtered(batch, first)
    out = interpolate(out, scale_factor=factor(FIRST, dice), mode=python.choice(METHODS))
    out = compressed(noisy(out, FIRST, numpy))
    if numpy.uniform() < SECOND_BLUR:
        out = filtered(out, second)
    scale = factor(SECOND, dice)
    out = interpolate(out, size=(int(height * scale), int(width * scale)), mode=python.choice(METHODS))
    out = noisy(out, SECOND, numpy)
    sinc_first = numpy.uniform() < 0.5
    if not sinc_first:
        out = compressed(out)
    out = filtered(interpolate(out, size=(height, width), mode=python.choice(METHODS)), final)
    if sinc_first:
        out = compressed(out)
    return (out * 255).round().clamp(0, 255) / 255


def factor(order: Order, dice: Dice) -> float:
    direction = dice.python.choices(("up", "down", "keep"), order.resize_chances)[0]
    if direction == "keep":
        return 1.0
    low, high = (1, order.resize[1]) if direction == "up" else (order.resize[0], 1)
    return float(dice.numpy.uniform(low, high))


# Kernels


def kernels_of(dice: Dice) -> tuple[Array, Array, Array]:
    """Those of the two blurs and of the final sinc filter of one sample."""
    blurs = [mixed_kernel(order, dice) for order in (FIRST, SECOND)]
    final = np.zeros((KERNEL, KERNEL), np.float32)
    final[KERNEL // 2, KERNEL // 2] = 1
    if dice.numpy.uniform() < FINAL_SINC:
        size = dice.python.choice(KERNEL_SIZES)
        final = padded(sinc(size, dice.numpy.uniform(np.pi / 3, np.pi)))
    return blurs[0], blurs[1], final


def mixed_kernel(order: Order, dice: Dice) -> Array:
    python, numpy = dice
    size = python.choice(KERNEL_SIZES)
    if numpy.uniform() < SINC:
        return padded(sinc(size, numpy.uniform(np.pi / 3 if size < 13 else np.pi / 5, np.pi)))
    which = python.choices(range(len(KINDS)), KIND_CHANCES)[0]
    sigmas, angle = np.full(2, numpy.uniform(*order.sigma)), 0.0
    if not ISOTROPIC[which]:
        sigmas[1], angle = numpy.uniform(*order.sigma), numpy.uniform(-math.pi, math.pi)
    distance = mahalanobis(size, sigmas, angle)
    if KINDS[which] == "gaussian":
        kernel = np.exp(-0.5 * distance)
    else:
        low, high = BETA_GENERALIZED if KINDS[which] == "generalized" else BETA_PLATEAU
        # Half of the shapes lie on either side of the Gaussian one, 1. A plateau's range begins there: half have just that.
        beta = numpy.uniform(low, 1) if numpy.uniform() < 0.5 else numpy.uniform(1, high)
        kernel = np.exp(-0.5 * distance**beta) if KINDS[which] == "generalized" else 1 / (1 + distance**beta)
    return padded(kernel / kernel.sum())


def mahalanobis(size: int, sigmas: Array, angle: float) -> Array:
    """Square of the distance from the middle under a covariance."""
    x = np.arange(size) - size // 2
    grid = np.stack(np.meshgrid(x, x), axis=-1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag(sigmas**2) @ turn.T)
    squares: Array = np.sum((grid @ inverse) * grid, axis=2)
    return squares


def sinc(size: int, cutoff: float) -> Array:
    """The ideal low-pass filter that is the same in all directions."""
    from scipy.special import j1

    x = np.arange(size) - size // 2
    radius = np.hypot(x[:, None], x)
    radius[size // 2, size // 2] = 1
    kernel = cutoff * j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    result: Array = kernel / kernel.sum()
    return result


def padded(kernel: Array) -> Array:
    margin = (KERNEL - len(kernel)) // 2
    return np.pad(kernel, margin).astype(np.float32)


def filtered(batch: Tensor, kernels: Tensor) -> Tensor:
    """Every sample with its own kernel: a convolution in as many groups as there are planes."""
    from torch.nn.functional import conv2d, pad

    n, channels, height, width = batch.shape
    wide = pad(batch, (KERNEL // 2,) * 4, mode="reflect")
    taps = kernels[:, None].repeat(1, channels, 1, 1).view(n * channels, 1, KERNEL, KERNEL)
    out = conv2d(wide.reshape(1, n * channels, *wide.shape[2:]), taps, groups=n * channels)
    return out.view(n, channels, height, width)


# Noise


def noisy(batch: Tensor, order: Order, numpy: np.random.RandomState) -> Tensor:
    noise = gaussian(batch, order.noise) if numpy.uniform() < GAUSSIAN else poisson(batch, order.poisson)
    return (batch + noise).clamp(0, 1)


def gaussian(batch: Tensor, limits: tuple[float, float]) -> Tensor:
    import torch

    sigma, grey = uniform(batch, *limits) / 255, (uniform(batch, 0, 1) < GREY).float()
    noise = torch.randn_like(batch) * sigma
    if not grey.any():
        return noise
    # One field for the whole batch, as published.
    return noise * (1 - grey) + torch.randn(batch.shape[2:]) * sigma * grey


def poisson(batch: Tensor, limits: tuple[float, float]) -> Tensor:
    import torch

    scale, grey = uniform(batch, *limits), (uniform(batch, 0, 1) < GREY).float()
    noise = shot(batch)
    if grey.any():
        weights = torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)
        noise = noise * (1 - grey) + shot((batch * weights).sum(1, keepdim=True)) * grey
    return noise * scale


def shot(batch: Tensor) -> Tensor:
    """Noise of counts, of which white has as many as there are different values in the sample, up to a power of two."""
    import torch

    levels = (batch * 255).round().clamp(0, 255) / 255
    counts = [2.0 ** math.ceil(math.log2(len(torch.unique(sample)))) for sample in levels]
    white = torch.tensor(counts).view(-1, 1, 1, 1)
    return torch.poisson(levels * white) / white - levels


def uniform(batch: Tensor, low: float, high: float) -> Tensor:
    """A number for every sample."""
    import torch

    return (torch.rand(len(batch)) * (high - low) + low).view(-1, 1, 1, 1)


# JPEG: its transform, tables and rounding, without a file


class Jpeg(NamedTuple):
    """Constants of ITU T.81, annexes A and K, and of JFIF's colours."""

    forward: Tensor
    inverse: Tensor
    scale: Tensor
    luma: Tensor
    chroma: Tensor
    to_ycc: Tensor
    to_rgb: Tensor
    grey: Tensor

    @classmethod
    @cache
    def constants(cls) -> Jpeg:
        import torch

        waves = np.zeros((8, 8, 8, 8), np.float32)
        for x, y, u, v in itertools.product(range(8), repeat=4):
            waves[x, y, u, v] = np.cos((2 * x + 1) * u * np.pi / 16) * np.cos((2 * y + 1) * v * np.pi / 16)
        alpha = np.array([np.sqrt(0.5)] + [1.0] * 7, np.float32)
        to_ycc = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
        to_rgb = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]
        constants = (waves, waves.transpose(2, 3, 0, 1), np.outer(alpha, alpha) / 4, LUMA, CHROMA)
        arrays = (*constants, np.transpose(to_ycc), np.transpose(to_rgb), (0, 128, 128))
        return cls(*(torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays))


LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
)
CHROMA = np.full((8, 8), 99)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def compressed(batch: Tensor) -> Tensor:
    """Qualities are drawn for every sample. The image is padded with zeros to whole blocks of 16."""
    import torch
    from torch.nn.functional import avg_pool2d, pad

    c = Jpeg.constants()
    quality = batch.new_zeros(len(batch)).uniform_(*QUALITY)
    for i, q in enumerate(quality):
        quality[i] = (5000 / q if q < 50 else 200 - 2 * q) / 100
    height, width = batch.shape[2:]
    levels = pad(batch.clamp(0, 1), (0, -width % 16, 0, -height % 16)) * 255
    ycc = torch.tensordot(levels.permute(0, 2, 3, 1), c.to_ycc, dims=1) + c.grey
    small = avg_pool2d(ycc[..., 1:].permute(0, 3, 1, 2), 2)
    luma = coded(ycc[..., 0], c.luma, quality)
    chroma = [coded(small[:, i], c.chroma, quality).repeat_interleave(2, 1).repeat_interleave(2, 2) for i in range(2)]
    rgb = torch.tensordot(torch.stack([luma, *chroma], dim=-1) - c.grey, c.to_rgb, dims=1)
    return (rgb.permute(0, 3, 1, 2).clamp(0, 255) / 255)[..., :height, :width]


def coded(plane: Tensor, table: Tensor, factors: Tensor) -> Tensor:
    """What rounding leaves of the cosines of the 8 x 8 blocks of planes (n, height, width)."""
    import torch

    c = Jpeg.constants()
    n, height, width = plane.shape
    blocks = plane.view(n, height // 8, 8, width // 8, 8).permute(0, 1, 3, 2, 4).contiguous().view(n, -1, 8, 8)
    steps = table * factors.view(-1, 1, 1, 1)
    rounded = (c.scale * torch.tensordot(blocks - 128, c.forward, dims=2) / steps).round() * steps
    blocks = torch.tensordot(rounded * c.scale, c.inverse, dims=2) + 128
    return blocks.view(n, height // 8, width // 8, 8, 8).permute(0, 1, 3, 2, 4).contiguous().view(n, height, width)
