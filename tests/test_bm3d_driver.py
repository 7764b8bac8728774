"""From images to planes and back: the same code for NumPy's arrays and CuPy's, and the whole way on CUDA in the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels import bm3d_deblur, bm3d_driver
from imrestore_kernels.bm3d_driver import Backend, Request
from imrestore_kernels.bm3d_noise import Noise, autocorrelation_of_kernel
from imrestore_kernels.bm3d_profiles import PROFILES, HardThreshold, Profile, Stage, Wiener, used_stages
from imrestore_kernels.cpu import bm3d as cpu
from imrestore_kernels.cpu.gaussian import gaussian
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import bm3d as cuda

from tests import cupy_stand_in
from tests.backends import same_bits
from tests.bm3d_pictures import noisy
from tests.cuda_on_cpu.emulator import Emulator, compiler

FAST = PROFILES["fast"]
KERNEL = np.array([[0.5, 1.0], [0.25, -0.5]])
PSF = np.full((3, 3), 1 / 9)


def correlation() -> np.ndarray:
    table = autocorrelation_of_kernel(KERNEL)
    return table / table[1, 1]


def requests(shape: tuple[int, ...]) -> dict[str, Request]:
    """What can be asked for, for images of 10 noise."""
    levels = 8 + 4 * np.random.default_rng(2).random((*shape[:3], 1))
    sigmas = (10.0,) * shape[-1]
    return {
        "plain": Request(sigmas, None, None, FAST, 2),
        "one stage": Request(sigmas, None, None, FAST, 1),
        "three stages": Request(sigmas, None, None, FAST._replace(refine=FAST.wiener._replace(step=5, window=9)), 2),
        "map": Request(sigmas, levels, None, FAST, 2),
        "kernel": Request(sigmas, None, correlation(), FAST, 2),
        "guide": Request(sigmas, None, None, FAST, 2, None, noisy(shape[1:])[None]),
    }


def test_the_stages_that_are_run() -> None:
    hard, middle, last = HardThreshold(step=2), Wiener(step=3, share=0.5), Wiener(step=5)
    three, two = Profile(hard, middle, last), Profile(hard, middle)
    assert used_stages(three, 2, False) == (hard, middle, last)
    assert used_stages(two, 2, False) == (hard, middle)
    for profile in (three, two):
        assert used_stages(profile, 1, False) == used_stages(profile, 1, True) == (hard,)
    assert used_stages(three, 2, True) == (hard, last._replace(share=0.0))
    assert used_stages(two, 2, True) == (hard, middle._replace(share=0.0))
    # A guide takes the first's place.
    assert used_stages(three, 2, False, True) == (middle, last)
    assert used_stages(three, 2, True, True) == (last._replace(share=0.0),)
    assert used_stages(two, 2, True, True) == (middle._replace(share=0.0),)
    for given, correlated in ((three, None), (two, correlation())):
        request = Request((10.0,), None, correlated, given, 2)
        assert request.used == used_stages(given, 2, correlated is not None)
        guided = request._replace(guide=noisy())
        assert guided.used == used_stages(given, 2, correlated is not None, guided=True)


@pytest.mark.parametrize("guided", [False, True])
def test_every_stage_is_guided_by_the_one_before(guided: bool) -> None:
    """The first result alone is handed out beside the last."""
    image = noisy((30, 37, 1), "float32")[None]
    profile = FAST._replace(wiener=FAST.wiener._replace(share=1.0), refine=FAST.wiener._replace(step=5, share=0.5))
    request = Request((10.0,), None, None, profile, 2, None, noisy((30, 37, 1), sigma=3.0)[None] if guided else None)
    guide, results, seen = request.guide, [], []
    for stage in request.used:
        only = Request((10.0,), None, None, Profile(FAST.hard, stage), 2, None, guide)
        if isinstance(stage, HardThreshold):
            only = only._replace(profile=Profile(stage), stages=1)
        results.append(np.empty_like(image))
        cpu.bm3d(image, results[-1], only, None)
        guide = results[-1]
    result, basic, heard = np.empty_like(image), np.empty_like(image), seen.append
    cpu.bm3d(image, result, request._replace(progress=heard), basic)
    assert same_bits(result, results[-1])
    assert same_bits(basic, results[0])
    assert len(results) == 3 - guided
    assert seen == sorted(set(seen))
    assert seen[-1] == 1


def on_stand_in(xp: Any) -> Backend:
    """The CPU's stages behind arrays that are none of NumPy's."""

    def run_stage(stage: Stage, image: Any, guide: Any, noise: Noise, progress: Any) -> Any:
        own = Noise(noise.variances, *(None if a is None else a.get() for a in noise[1:]))
        return xp.asarray(cpu.run_stage(stage, image.get(), None if guide is None else guide.get(), own, progress))

    def smooth(src: Any, dst: Any, weights: Any, mode: int, cval: float, where: Any, pad_counts: bool) -> None:
        result = np.empty_like(dst.get())
        gaussian(src.get(), result, weights, mode, cval, where.get(), pad_counts)
        dst[...] = xp.asarray(result)

    return Backend(xp, run_stage, cuda.hold, smooth)


@pytest.mark.parametrize("name", requests((1, 8, 8, 1)))
@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("float64", 3), ("float32", 2), ("int64", 4), ("float16", 1)]
)
def test_planes_of_cupy_arrays(name: str, dtype: str, channels: int) -> None:
    cupy = pytest.importorskip("cupy")
    shape = (1, 30, 37, channels)
    request = requests(shape)[name]
    image = noisy(shape[1:], dtype)[None]
    if dtype.startswith("float"):
        image[0, 3, 4] = np.nan
    where = (np.random.default_rng(1).random(shape) < 0.9).astype(np.uint8)
    for mask in (None, where):
        expected = np.empty_like(image)
        cpu.bm3d(image, expected, request, None, mask)
        xp = cupy_stand_in.Namespace()
        dst = xp.asarray(np.zeros_like(image))
        given = {name: getattr(request, name) for name in ("sigma_map", "guide")}
        there = request._replace(**{name: xp.asarray(value) for name, value in given.items() if value is not None})
        bm3d_driver.restore(on_stand_in(xp), there, xp.asarray(image), dst, None if mask is None else xp.asarray(mask))
        assert same_bits(dst.get(), expected)
        assert {used for used in xp.used if not hasattr(cupy, used)} == set()


@pytest.mark.parametrize("periodic", [True, False])
def test_spectra_of_cupy_arrays(periodic: bool) -> None:
    cupy = pytest.importorskip("cupy")
    image = noisy((30, 37, 3), "uint8")[None]
    expected, xp = np.empty_like(image), cupy_stand_in.Namespace()
    cpu.deconvolve(image, expected, PSF, (3.0, 3.0, 3.0), FAST, periodic, None, None)
    dst = xp.asarray(np.zeros_like(image))
    bm3d_deblur.deconvolve(on_stand_in(xp), xp.asarray(image), dst, PSF, (3.0, 3.0, 3.0), FAST, periodic, None)
    assert same_bits(dst.get(), expected)
    assert {used for used in xp.used if not hasattr(cupy, used)} == set()


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Two backends round in another order; a distance or a coefficient in a thousand falls on the other side."""
    apart = abs(actual.astype(np.float64) - expected)
    assert (apart > 0.02 + (actual.dtype.kind != "f")).mean() < 0.01
    assert apart.max() < 3


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("name", requests((1, 8, 8, 1)))
@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("float32", 3)])
def test_cuda_is_the_cpu(name: str, dtype: str, channels: int) -> None:
    shape = (1, 22, 29, channels)
    image, request = noisy(shape[1:], dtype)[None], requests(shape)[name]
    where = (np.random.default_rng(1).random(shape) < 0.9).astype(np.uint8) if name == "plain" else None
    both: list[tuple[Callable[..., None], np.ndarray, np.ndarray]] = []
    for run in (cpu.bm3d, cuda.bm3d):
        result, basic = np.empty_like(image), np.empty_like(image)
        with _launch.use(Emulator("shuffled")):
            run(image, result, request, None if name == "guide" else basic, where)
        both.append((run, result, result if name == "guide" else basic))
    (_, expected, expected_basic), (_, result, basic) = both
    close(result, expected)
    close(basic, expected_basic)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_deconvolution_on_cuda_is_the_cpus() -> None:
    image = noisy((22, 29, 1), "float32", sigma=2.0)[None]
    expected, result = np.empty_like(image), np.empty_like(image)
    cpu.deconvolve(image, expected, PSF, (2.0,), FAST, False, None, None)
    with _launch.use(Emulator("reverse")):
        cuda.deconvolve(image, result, PSF, (2.0,), FAST, False, None, None)
    close(result, expected)
