"""The stages of BM3D on the CPU against their oracle: every step, group, window, transform and kind of noise."""

from __future__ import annotations

import itertools
import zlib
from typing import NamedTuple

import numpy as np
import pytest
from imrestore_kernels import bm3d_noise
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SIDE, TILE_COLUMNS, HardThreshold, Stage, Wiener, rows_of_strip
from imrestore_kernels.cpu import _pool
from imrestore_kernels.cpu.bm3d import run_stage

import imrestore
from tests.backends import same_bits
from tests.oracles import bm3d

NAN, INF = float("nan"), float("inf")
#: Of each plane; their roots are irrational, so that no coefficient of whole numbers is exactly at a threshold.
VARIANCES = (617.25, 411.75, 887.25)
#: What the noise of each plane went through where it is correlated. No two are alike, turned or transposed.
KERNELS = (
    np.array([[0.3, 1.0, 0.5], [0.0, 0.6, -0.2]]),
    np.array([[1.0], [0.4], [0.3]]),
    np.array([[0.5, 0.2, 0.0, 0.7], [0.0, 1.0, 0.1, 0.0]]),
)
#: Rounding errors of coefficients of whole numbers up to 60 in groups of up to 32 patches: at most about 60 * 8 * sqrt(32), times
#: a few 2**-24. A coefficient as near to its threshold may fall to either side.
UNDECIDED = 2e-4
#: Of the largest sample: about 40 roundings to float32 on the way from samples to a mean of patches. The largest seen is 0.6 of it,
#: in a first stage; of other draws it was nearly all. The adaptive estimate's are no larger than the others'.
TOLERANCE = 40 * 2.0**-24


class Case(NamedTuple):
    """One stage, and the images it is run on."""

    parameters: Stage
    shape: tuple[int, int, int] = (1, 21, 23)
    noise: str = "white"  # or "local", "correlation", "both"
    most: int = 60  # samples are 0 .. most
    period: int = 0  # the picture repeats after so many pixels along both axes
    variance: float = 0  # instead of the first plane's

    @property
    def id(self) -> str:
        kind = "hard" if isinstance(self.parameters, HardThreshold) else "wiener"
        given = ((name, value) for name, value in self.parameters._asdict().items() if name != "transform")
        parts = [kind, self.parameters.transform, *(f"{name}{value:g}" for name, value in given), self.noise]
        other = [f"variance{self.variance:g}"] if self.variance else []
        return "-".join([*parts, "x".join(map(str, self.shape)), f"most{self.most}", f"period{self.period}", *other])

    def images(self, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng([zlib.crc32(self.id.encode()), seed])

        def whole_numbers() -> np.ndarray:
            planes, height, width = self.shape
            drawn = rng.integers(0, self.most + 1, (planes, self.period or height, self.period or width))
            repeated = (planes, np.arange(height) % drawn.shape[1], np.arange(width) % drawn.shape[2])
            return np.ascontiguousarray(drawn[:, repeated[1][:, None], repeated[2]].astype(np.float32))

        return whole_numbers(), None if isinstance(self.parameters, HardThreshold) else whole_numbers()

    def noise_of(self) -> Noise:
        planes, height, width = self.shape
        local = correlation = None
        if self.noise in ("local", "both"):
            spread = np.random.default_rng(1).integers(300, 900, (planes, height - SIDE + 1, width - SIDE + 1)) + 0.25
            local = spread.astype(np.float32)
        if self.noise in ("correlation", "both"):
            reach = 2 * (self.parameters.window // 2)
            tables = [bm3d.correlation_of(self.parameters.transform, kernel, reach) for kernel in KERNELS[:planes]]
            correlation = np.stack(tables).astype(np.float32)
        variances = (self.variance, *VARIANCES[1:]) if self.variance else VARIANCES
        return Noise(variances[:planes], local, correlation)


def decided(case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Image, guide and the oracle's result for the first images in which no coefficient is next to its threshold."""
    nearest = INF

    def gains(parameters: Stage, c: np.ndarray, e: np.ndarray | None, v: np.ndarray) -> np.ndarray:
        nonlocal nearest
        if isinstance(parameters, HardThreshold) and parameters.threshold:  # at 0 all are kept
            apart = np.abs(np.abs(c) - parameters.threshold * np.sqrt(v))
            apart[0, 0, 0] = INF  # the mean is kept
            nearest = min(nearest, float(apart.min()))
        return original(parameters, c, e, v)

    original = bm3d.gains
    monkeypatch.setattr(bm3d, "gains", gains)
    for seed in itertools.count():
        nearest = INF
        image, guide = case.images(seed)
        expected = bm3d.stage(case.parameters, image, guide, case.noise_of())
        if nearest > UNDECIDED:
            monkeypatch.setattr(bm3d, "gains", original)
            return image, guide, expected
    raise AssertionError


def hard(step: int, group: int, window: int, transform: str = "bior1.5", **options: float) -> HardThreshold:
    """A threshold that about every tenth coefficient of the images passes."""
    return HardThreshold(**{"threshold": 1.2} | options, step=step, group=group, window=window, transform=transform)


def wiener(step: int, group: int, window: int, transform: str = "dct", **options: float) -> Wiener:
    """Wiener's gains of the transform, and no other estimate."""
    return Wiener(**{"share": 0.0} | options, step=step, group=group, window=window, transform=transform)


def adaptive(group: int, share: float, transform: str = "dct", window: int = 19, **options: float) -> Wiener:
    """The estimate whose basis is the group itself: alone, or with a share of the other."""
    return Wiener(**{"step": 4} | options, group=group, window=window, transform=transform, share=share)


STEPS = (
    Case(hard(1, 8, 9), (1, 14, 15)),
    Case(hard(2, 16, 19, "dct"), (1, 18, 21)),
    Case(hard(3, 32, 39, threshold=2.7), (1, 24, 20)),
    Case(hard(4, 16, 45, "dct"), (1, 31, 26)),
    Case(hard(5, 8, 19), (1, 27, 30)),
    Case(hard(6, 32, 9, "dct"), (1, 25, 33)),
    Case(hard(7, 16, 39), (1, 30, 32)),
    Case(hard(8, 32, 45, "dct"), (1, 29, 37)),
    Case(wiener(1, 32, 9), (1, 13, 14)),
    Case(wiener(2, 8, 39, "bior1.5"), (1, 17, 19)),
    Case(wiener(3, 16, 45), (1, 22, 25)),
    Case(wiener(4, 32, 19, "bior1.5"), (1, 26, 23)),
    Case(wiener(5, 16, 9), (1, 32, 27)),
    Case(wiener(6, 8, 45, "bior1.5"), (1, 28, 31)),
    Case(wiener(7, 32, 19), (1, 34, 29)),
    Case(wiener(8, 16, 39, "bior1.5"), (1, 33, 35)),
)
NOISES = (
    Case(hard(3, 16, 39), (2, 21, 23), "local"),
    Case(hard(3, 8, 19, "dct"), (3, 20, 22), "correlation"),
    Case(hard(2, 32, 9), (2, 13, 14), "both"),
    Case(hard(5, 16, 45, "dct", match=1.0), (1, 28, 27), "both"),
    Case(wiener(3, 32, 39), (3, 20, 21), "local"),
    Case(wiener(4, 16, 19, "bior1.5", match=1.25), (2, 25, 24), "correlation"),
    Case(wiener(3, 8, 45), (2, 22, 20), "both"),
    Case(wiener(6, 32, 9, "bior1.5"), (1, 27, 29), "both"),
)
PARAMETERS = (
    # groups of 1, of a few, of all; of patches that are equal; and of none but the reference
    Case(hard(3, 16, 39, match=1.0)),
    Case(hard(3, 32, 19, "dct", match=0.875), noise="local"),
    Case(wiener(3, 16, 39, match=1.0)),
    Case(hard(4, 32, 19, match=0.0), period=5),
    Case(hard(3, 16, 39, match=0.0)),
    Case(wiener(3, 32, 19, match=0.0), period=4),
    Case(hard(3, 16, 1), (2, 22, 20)),
    Case(wiener(2, 8, 1, "bior1.5"), (2, 19, 21), "both"),
    Case(hard(3, 8, 3), (1, 20, 20)),
    Case(hard(3, 16, 9, match=2.0**60)),
    # other windows of Kaiser, thresholds and factors; planes
    Case(hard(3, 16, 19, beta=0.0)),
    Case(wiener(3, 16, 19, beta=7.5)),
    Case(hard(3, 16, 19, threshold=0.0)),
    Case(hard(3, 16, 19, threshold=40.0)),
    Case(wiener(3, 16, 19, noise=3.0)),
    Case(wiener(3, 16, 19, noise=1e-6)),
    Case(hard(3, 16, 39), (3, 23, 21)),
    Case(wiener(3, 32, 19), (2, 20, 24)),
    # few values: distances that are equal by the hundred
    Case(hard(3, 16, 39), most=1),
    Case(wiener(5, 32, 19), (1, 25, 25), most=1),
    Case(hard(3, 16, 19), most=0),
)
SHAPES = (
    *(Case(p, (1, *shape))
      for shape in ((8, 8), (8, 40), (40, 8), (9, 9), (8, 9), (15, 16)) for p in (hard(3, 16, 39), wiener(3, 32, 39))),
    *(Case(hard(8, 8, 9), (1, *shape)) for shape in ((16, 24), (17, 23), (15, 25))),
    # more references than a tile has beside and below each other, and more than two strips
    Case(hard(2, 8, 5, threshold=2.0), (1, 41, 138)),
    Case(wiener(8, 8, 1), (1, 142, 529)),
)  # fmt: skip
ADAPTIVE = (
    *(Case(adaptive(group, share, transform), (1, 17, 18), noise)
      for group in (8, 16, 32) for noise in ("white", "local")
      for share, transform in ((0.0, "dct"), (0.5, "dct"), (0.5, "bior1.5"), (1.0, "dct"), (1.0, "bior1.5"))),
    # its own factors, at their ends too; what comes back is some of what is left out, none or all of it
    *(Case(adaptive(16, share, transform, **{"adaptive": factor, "excess": excess}))
      for share, transform in ((1.0, "dct"), (0.5, "bior1.5"))
      for factor, excess in ((0.1, 0.5), (5.0, 0.5), (5.0, 1000.0), (0.1, 1000.0), (0.7, 0.0))),
    # groups of 1, 2, 4 and 8 patches
    *(Case(adaptive(8, share, match=1.0), (2, 23, 22), noise) for share in (0.5, 1.0) for noise in ("white", "local")),
    *(Case(adaptive(8, share, window=1), (2, 19, 20)) for share in (0.5, 1.0)),
    *(Case(adaptive(8, 1.0, transform, match=0.875), (2, 25, 24)) for transform in ("dct", "bior1.5")),
    # planes, other windows of Kaiser
    Case(adaptive(32, 1.0, beta=0.0), (3, 20, 21)),
    Case(adaptive(16, 0.5, beta=7.5), (3, 20, 21), "local"),
    # E'E is singular: equal patches, a guide that is constant, one that repeats itself
    *(Case(adaptive(32, share, transform, **options), period=4, most=most, variance=variance)
      for share, transform in ((1.0, "dct"), (0.5, "bior1.5"))
      for options in ({}, {"excess": 1000.0}, {"match": 0.0}) for most, variance in ((60, 1.0), (60, 617.25), (0, 617.25))),
    # and with next to no ridge: rounding errors of what is left after a few pivots must not grow
    *(Case(adaptive(32, 1.0, **{"step": 3, "adaptive": 1e-7, "excess": excess}), period=period, variance=1.0)
      for period in (4, 5, 6, 7) for excess in (0.9, 1000.0)),
    # all noise and next to none
    *(Case(adaptive(32, share, transform, **{"excess": excess}), variance=variance)
      for share, transform in ((1.0, "dct"), (0.5, "bior1.5")) for excess in (0.9, 1000.0) for variance in (1e-6, 1e6)),
    # correlated noise has no such estimate
    Case(adaptive(16, 1.0), (2, 20, 22), "correlation"),
    Case(adaptive(8, 0.5, "bior1.5"), (1, 20, 22), "both"),
)  # fmt: skip
CASES = (*STEPS, *NOISES, *PARAMETERS, *SHAPES, *ADAPTIVE)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_stage_is_its_definition(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    image, guide, expected = decided(case, monkeypatch)
    before = image.copy()
    actual = run_stage(case.parameters, image, guide, case.noise_of())
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=case.most * TOLERANCE)
    assert same_bits(image, before)


def test_the_cases_meet_every_option() -> None:
    for kind in (HardThreshold, Wiener):
        own = [case for case in CASES if isinstance(case.parameters, kind)]
        assert {case.parameters.step for case in own} == set(range(1, 9))
        assert {case.parameters.group for case in own} == {8, 16, 32}
        assert {case.parameters.window for case in own} >= {1, 9, 19, 39, 45}
        assert {case.parameters.transform for case in own} == {"bior1.5", "dct"}
        if kind is Wiener:
            shares = {(case.parameters.share, case.parameters.group, case.noise) for case in own}
            assert shares >= set(itertools.product((0.0, 0.5, 1.0), (8, 16, 32), ("white", "local")))
        assert {case.noise for case in own} == {"white", "local", "correlation", "both"}
        assert {case.shape[0] for case in own} == {1, 2, 3}
        large = [case for case in own if references(case)[1] > TILE_COLUMNS and strips(case) > 2]
        assert large


def references(case: Case) -> tuple[int, int]:
    """References below and beside each other."""
    rows, columns = (len(bm3d.reference_positions(n - SIDE, case.parameters.step)) for n in case.shape[1:])
    return rows, columns


def strips(case: Case) -> int:
    return -(-references(case)[0] // rows_of_strip(case.parameters.step, case.parameters.window))


SPOILT = (
    Case(hard(5, 16, 19), (2, 25, 31)),
    Case(wiener(4, 32, 9), (2, 25, 31)),
    Case(adaptive(16, 1.0, window=9), (2, 25, 31)),
    Case(adaptive(8, 0.5, window=9), (2, 25, 31), "local"),
    Case(hard(5, 8, 19, "dct"), (2, 25, 31), "both"),
    Case(wiener(5, 8, 9, "bior1.5"), (2, 25, 31), "correlation"),
)


def assert_close(actual: np.ndarray, expected: np.ndarray, case: Case) -> None:
    """Neither is finite, or they are close: an infinity may come out as itself where the oracle has 0 times infinity."""
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(actual[finite], expected[finite], rtol=0, atol=case.most * TOLERANCE)


def spoilt(case: Case, plane: int, value: float) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Image and guide of a case with one sample that is not finite, and what the definition makes of them."""
    image, guide = case.images(0)
    for planes in (image, guide):
        if planes is not None:
            planes[plane, 12, 9] = value
    with np.errstate(invalid="ignore"):
        expected = bm3d.stage(case.parameters, image, guide, case.noise_of())
    assert np.isnan(expected[plane]).any()
    return image, guide, expected


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("plane", [0, 1])
@pytest.mark.parametrize("case", SPOILT, ids=[case.id for case in SPOILT])
def test_what_is_not_finite_spoils_its_groups(case: Case, plane: int, value: float) -> None:
    image, guide, expected = spoilt(case, plane, value)
    with np.errstate(invalid="ignore"):
        actual = run_stage(case.parameters, image, guide, case.noise_of())
    assert np.isfinite(expected).any()
    assert_close(actual, expected, case)


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("guided", [False, True])
def test_a_nan_in_one_of_image_and_guide(guided: bool, share: float, value: float) -> None:
    """Matched is the guide; what is filtered is the image. Near a NaN of the image more patches of the guide are spoilt."""
    case = Case(wiener(6, 16, 9, share=share), (2, 32, 33))
    image, guide = case.images(0)
    (guide if guided else image)[0, 12, 9] = value
    with np.errstate(invalid="ignore"):
        expected = bm3d.stage(case.parameters, image, guide, case.noise_of())
        actual = run_stage(case.parameters, image, guide, case.noise_of())
    assert 0 < np.isnan(expected[0]).sum() < expected[0].size
    assert_close(actual, expected, case)


@pytest.mark.parametrize("period", [1, 4])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_guide_that_spans_next_to_nothing(share: float, period: int) -> None:
    """A constant one, or one that repeats itself, of an image that does not: nearly all is left out, and comes back or does not."""
    for excess, noise in itertools.product((0.0, 0.9, 1000.0), ("white", "local")):
        case = Case(adaptive(32, share, excess=excess), noise=noise)
        image, guide = case.images(0)[0], case._replace(period=period).images(1)[1]
        expected = bm3d.stage(case.parameters, image, guide, case.noise_of())
        actual = run_stage(case.parameters, image, guide, case.noise_of())
        np.testing.assert_allclose(actual, expected, rtol=0, atol=case.most * TOLERANCE)


THREADED = (
    Case(hard(3, 16, 9), (1, 250, 40)),
    Case(wiener(2, 32, 5), (2, 139, 150)),
    Case(wiener(5, 32, 5, share=1.0), (2, 330, 150)),
    Case(wiener(5, 16, 5, "bior1.5", share=0.5), (2, 330, 150), "local"),
    Case(hard(8, 8, 19, "dct"), (3, 300, 30), "both"),
    Case(wiener(5, 16, 39), (1, 421, 42), "local"),
)


@pytest.mark.parametrize("case", THREADED, ids=[case.id for case in THREADED])
def test_threads_and_progress_leave_no_trace(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert strips(case) > 4
    image, guide = case.images(0)
    noise = case.noise_of()
    monkeypatch.setattr(_pool, "SERIAL_WORK", 0)
    with imrestore.threads(1):
        expected = run_stage(case.parameters, image, guide, noise)
    heard: list[float] = []
    for threads, progress in itertools.product((1, 2, 3, 5), (None, heard.append)):
        with imrestore.threads(threads):
            assert same_bits(run_stage(case.parameters, image, guide, noise, progress), expected)
    assert len(heard) == 4 * 16
    assert heard == [(i + 1) / 16 for i in range(16)] * 4


def test_strips_that_run_at_the_same_time_do_not_meet() -> None:
    """An even strip writes no row that the next even one writes, whatever the step and the window."""
    for step, window in itertools.product(range(1, 9), range(1, 46, 2)):
        high = rows_of_strip(step, window) * step
        half = window // 2
        last = high - step + half + SIDE  # first row below all that the strip at row 0 may write
        assert last <= 2 * high - half


# Correlations by distance


@pytest.mark.parametrize("kernel", [*KERNELS, np.random.default_rng(0).normal(0, 1, (10, 12))])
@pytest.mark.parametrize("name", ["bior1.5", "dct"])
def test_correlations_are_those_of_the_oracle(name: str, kernel: np.ndarray) -> None:
    """The last kernel reaches further than two patches on the same place."""
    autocorrelation = bm3d_noise.autocorrelation_of_kernel(kernel)
    for reach in (0, 2, 9, 40):
        actual = bm3d_noise.correlation_of(autocorrelation, name, reach)
        np.testing.assert_allclose(actual, bm3d.correlation_of(name, kernel, reach), atol=1e-13)


def test_a_spectrum_says_the_same_as_its_kernel() -> None:
    for kernel, shape in itertools.product(KERNELS, ((16, 16), (9, 31))):
        psd = abs(np.fft.fft2(kernel, shape)) ** 2
        actual = bm3d_noise.autocorrelation_of_psd(psd)
        assert actual.shape == tuple((n - 1) // 2 * 2 + 1 for n in shape)
        expected = np.zeros(actual.shape)
        own = bm3d_noise.autocorrelation_of_kernel(kernel)
        margin = [(a - b) // 2 for a, b in zip(actual.shape, own.shape, strict=True)]
        expected[margin[0] : margin[0] + own.shape[0], margin[1] : margin[1] + own.shape[1]] = own
        np.testing.assert_allclose(actual, expected, atol=1e-13)
