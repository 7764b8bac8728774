"""Gain and read noise from one image: simulated sensors on ramps and photographs, clipping, and where it has to give up."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest

from imrestore._samples import open_measured
from imrestore.noise import PoissonGaussian, _patches, estimate_poisson_gaussian
from imrestore.noise._estimate_poisson_gaussian import _fit, _Groups, _groups
from tests import bad_input, cupy_stand_in
from tests.photographs import photographs
from tests.test_noise import BAD, FLOATS, INTEGERS

RAMP = np.add.outer(np.linspace(5, 200, 400), np.linspace(0, 50, 410))
SENSORS = [(0.1, 0), (0.1, 2), (0.5, 3), (1, 0), (1, 5), (1, 20), (3, 5), (10, 0), (10, 20)]


def sensor(light: np.ndarray, gain: float, read_noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return gain * rng.poisson(light / gain) + rng.normal(0, read_noise, light.shape)


def deviation(model: PoissonGaussian, gain: float, read_noise: float) -> float:
    """Mean relative error of the noise's standard deviation at intensities of 20 to 235."""
    level = np.linspace(20, 235, 20)
    ratio = np.sqrt((model.gain * level + model.read_noise**2) / (gain * level + read_noise**2))
    return float(np.abs(ratio - 1).mean())


@pytest.mark.parametrize(("gain", "read_noise"), SENSORS)
def test_ramps(gain: float, read_noise: float) -> None:
    models = [estimate_poisson_gaussian(sensor(RAMP, gain, read_noise, seed)) for seed in range(4)]
    assert max(deviation(model, gain, read_noise) for model in models) < 0.03  # 0.02 was measured
    variance = np.median([model.read_noise for model in models]) ** 2
    # what the Poisson part adds in the darkest tenth of the ramp is where the read noise gets lost
    assert variance == pytest.approx(read_noise**2, abs=0.1 * read_noise**2 + 30 * gain * 0.25)
    gains = [model.gain for model in models]
    # strong read noise hides the gain: 1 against 20 left 0.99 to 1.18
    assert np.median(gains) == pytest.approx(gain, rel=0.2 if read_noise == 20 and gain == 1 else 0.06)


# Median and largest of the deviations on Set12: what was measured, and a fifth to spare.
PHOTOGRAPHS = {(0.5, 3): (0.03, 0.1), (1, 0): (0.03, 0.08), (1, 5): (0.025, 0.1), (3, 5): (0.02, 0.03), (10, 20): (0.0125, 0.03)}


@pytest.mark.parametrize(("gain", "read_noise"), PHOTOGRAPHS)
def test_photographs(gain: float, read_noise: float) -> None:
    pictures = photographs("Set12")
    found = [deviation(estimate_poisson_gaussian(sensor(p, gain, read_noise, i)), gain, read_noise) for i, p in enumerate(pictures)]
    median, largest = PHOTOGRAPHS[gain, read_noise]
    assert np.median(found) < median
    assert max(found) < largest


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("low", "high"), [(0, 200), (40, 255), (30, 220)])
def test_clipped_samples_are_left_out(dtype: str, low: float, high: float) -> None:
    light = np.add.outer(np.linspace(-20, 280, 400), np.linspace(0, 40, 410)).clip(0)
    clipped = sensor(light, 0.5, 4).clip(low, high).round().astype(dtype)
    model = estimate_poisson_gaussian(clipped)
    assert deviation(model, 0.5, 4) < 0.04
    assert model.gain == pytest.approx(0.5, rel=0.16)  # 0.43 to 0.57 were measured, and 0.0 where what is clipped counts


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_saturated_spots_do_not_count(level: float) -> None:
    spots = (np.indices(RAMP.shape) % 14 < 5).all(axis=0)
    for seed in range(3):
        image = sensor(RAMP / 2 + 60, 1, 4, seed)
        # 0.02 was measured; with the patches that touch a spot 0.04 and more
        assert deviation(estimate_poisson_gaussian(np.where(spots, level, image)), 1, 4) < 0.03


def test_groups_keep_clear_of_the_levels_the_sensor_clips_at() -> None:
    for low, high in ((60, 1e9), (-1e9, 200), (60, 200)):
        image = sensor(RAMP, 1, 8).clip(low, high)
        patches = _patches.gather(open_measured(image, where=None), (6, 6), (1, 1), omit_nan=False)
        level, variance, _ = _groups(np, patches)
        assert 3 <= len(level) < 16
        assert (level - 3 * np.sqrt(variance) > low).all()
        assert (level + 3 * np.sqrt(variance) < high).all()
    patches = _patches.gather(open_measured(sensor(RAMP, 1, 8), where=None), (6, 6), (1, 1), omit_nan=False)
    assert len(_groups(np, patches).level) == 16


def test_an_image_of_a_few_patches_still_has_two_groups() -> None:
    light = np.linspace(0, 4000, 25 * 25).reshape(25, 25)
    gains = [estimate_poisson_gaussian(sensor(light, 4, 1, seed)).gain for seed in range(10)]
    assert min(gains) > 0
    assert np.median(gains) == pytest.approx(4, rel=0.15)


def test_no_count_at_all_is_not_clipping() -> None:
    light = np.add.outer(np.linspace(0, 2, 300), np.zeros(300))
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(light).astype(np.uint16)
        model = estimate_poisson_gaussian(counts)
        assert model.gain == pytest.approx(1, rel=0.1)
        assert model.read_noise < 0.3


def test_flat_images_have_read_noise_only() -> None:
    for shape in ((256, 256), (60, 60), (4000,), (20, 20, 20)):
        model = estimate_poisson_gaussian(sensor(np.full(shape, 100.0), 1, 5))
        assert model.gain == 0.0
        assert model.read_noise == pytest.approx(math.sqrt(125), rel=0.1)


def test_constant_images_have_no_noise() -> None:
    for image in (np.full((30, 30), 3.0), np.zeros((1, 1), np.uint8), np.ones((1,)), np.full((7, 7, 7), 9)):
        assert estimate_poisson_gaussian(image) == PoissonGaussian(0.0, 0.0)


def test_small_images_of_every_shape() -> None:
    for shape in [(n,) for n in range(1, 30)] + [(m, n) for m in range(1, 10) for n in range(1, 10)] + [(2, 3, 1), (4, 5, 6)]:
        model = estimate_poisson_gaussian(sensor(np.linspace(5, 100, math.prod(shape)).reshape(shape), 1, 2))
        assert type(model.gain) is type(model.read_noise) is float
        assert 0 <= model.gain < math.inf
        assert 0 <= model.read_noise < math.inf


@pytest.mark.parametrize("shape", [(40000,), (60, 61, 62)])
def test_other_dimensions(shape: tuple[int, ...]) -> None:
    light = np.linspace(5, 250, math.prod(shape)).reshape(shape)
    assert deviation(estimate_poisson_gaussian(sensor(light, 1, 3)), 1, 3) < 0.08  # one line has a tenth of the samples


def test_offset_is_taken_off() -> None:
    image = sensor(RAMP, 2, 6)
    expected = estimate_poisson_gaussian(image)
    shifted = estimate_poisson_gaussian(image + 1000, offset=1000)
    assert shifted == pytest.approx(expected, rel=1e-6)
    below = estimate_poisson_gaussian(image - 1000, offset=-1000)
    assert below == pytest.approx(expected, rel=1e-6)
    assert estimate_poisson_gaussian(image + 1000).read_noise < expected.read_noise


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1 / 255, 1e30, 1e295])
def test_estimates_scale_with_the_image(scale: float) -> None:
    image = sensor(RAMP, 2, 6)
    expected = estimate_poisson_gaussian(image)
    scaled = estimate_poisson_gaussian(image * scale, offset=0.0)
    assert scaled.gain / scale == pytest.approx(expected.gain, rel=1e-6)
    assert scaled.read_noise / scale == pytest.approx(expected.read_noise, rel=1e-6)
    moved = estimate_poisson_gaussian((image + 64) * scale, offset=64 * scale)
    assert moved.read_noise / scale == pytest.approx(expected.read_noise, rel=1e-6)


@pytest.mark.parametrize("dtype", INTEGERS[2:] + FLOATS)
def test_every_dtype(dtype: str) -> None:
    image = sensor(RAMP, 2, 6).round().clip(0).astype(dtype)
    expected = estimate_poisson_gaussian(image.astype(np.float64))
    assert estimate_poisson_gaussian(image) == pytest.approx(expected, rel=1e-3)  # sums in float32


def test_channels_masks_and_nan() -> None:
    sensors = [(0.5, 3), (1, 5), (3, 5)]
    channels = [sensor(RAMP, *each).astype(np.float32) for each in sensors]
    single = tuple(map(estimate_poisson_gaussian, channels))
    assert estimate_poisson_gaussian(np.stack(channels, -1), channel_axis=-1) == single
    image = channels[1].copy()
    where = np.ones(image.shape, bool)
    where[100:150, 100:300] = False
    expected = estimate_poisson_gaussian(image, where=where)
    image[~where] = np.nan
    assert estimate_poisson_gaussian(image, where=where) == expected
    assert estimate_poisson_gaussian(image, nan_policy="omit") == expected
    assert deviation(expected, 1, 5) < 0.03
    assert all(map(math.isnan, estimate_poisson_gaussian(image)))
    assert all(map(math.isnan, estimate_poisson_gaussian(image, where=np.zeros((1, 1), bool))))
    with pytest.raises(ValueError, match=r"^image contains NaN and nan_policy is 'raise'"):
        estimate_poisson_gaussian(image, nan_policy="raise")
    image[~where] = np.inf
    assert all(map(math.isnan, estimate_poisson_gaussian(image, nan_policy="omit")))


def groups(level: Any, variance: Any) -> _Groups:
    return _Groups(np.array(level, float), np.array(variance, float), np.full(len(level), 0.02))


def test_the_line_does_not_follow_texture() -> None:
    level = np.linspace(10, 200, 12)
    variance = 2 * level + 30
    assert _fit(groups(level, variance), 36) == pytest.approx((2, 30), rel=1e-6)
    for spoilt in ([3], [0, 1], [10, 11], [0, 2, 4, 6, 8]):
        raised = variance.copy()
        raised[spoilt] *= 1.7
        assert _fit(groups(level, raised), 36) == pytest.approx((2, 30), rel=0.02)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        raised = variance.copy()
        raised[rng.permutation(12)[:6]] *= rng.uniform(1.3, 6, 6)
        assert _fit(groups(level, raised), 36) == pytest.approx((2, 30), rel=0.05)


def test_neither_part_of_the_line_is_negative() -> None:
    level = np.linspace(10, 200, 12)
    assert _fit(groups(level, 0 * level), 36) == (0, 0)
    gain, constant = _fit(groups(level, 3 * level - 5), 36)
    assert constant == 0
    assert 2.4 < gain < 3
    assert _fit(groups(level, 500 - level), 36)[0] == 0
    assert np.isfinite(_fit(groups(level - 100, np.where(level > 100, 5 * (level - 100), 1.0)), 36)).all()
    gain, constant = _fit(groups(level - 300, 400 + level), 36)  # all below the offset
    assert gain > 0
    assert constant == pytest.approx(700, rel=0.01)


@pytest.mark.parametrize("kind", [kind for kind, (_, must) in bad_input.LAYOUTS.items() if must == "equal"])
def test_layouts_have_no_influence(kind: str) -> None:
    image = bad_input.LAYOUTS[kind][0]()
    before = np.array(image)
    plain = before.astype(before.dtype.newbyteorder("="))
    assert estimate_poisson_gaussian(image) == estimate_poisson_gaussian(plain)
    np.testing.assert_array_equal(np.array(image), before)


@pytest.mark.parametrize(
    ("image", "keywords", "error", "words"),
    [
        *BAD,
        (np.zeros((5, 5)), {"offset": math.nan}, ValueError, "offset is nan"),
        (np.zeros((5, 5)), {"offset": math.inf}, ValueError, "offset is inf"),
        (np.zeros((5, 5)), {"offset": "0"}, TypeError, "offset is '0'"),
        (np.zeros((5, 5)), {"offset": None}, TypeError, "offset is None"),
        (np.zeros((5, 5)), {"offset": (0, 0)}, TypeError, "offset is (0, 0)"),
    ],
)
def test_wrong_arguments_are_named(image: Any, keywords: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        estimate_poisson_gaussian(image, **keywords)
    assert str(caught.value).startswith(words)


def test_tensors_and_dask_arrays() -> None:
    torch = pytest.importorskip("torch")
    image = sensor(RAMP, 1, 5).astype(np.float32)
    assert estimate_poisson_gaussian(torch.from_numpy(image)) == estimate_poisson_gaussian(image)
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"^image is a dask array .* image\.compute\(\)"):
        estimate_poisson_gaussian(da.from_array(image))


def test_cupy_arrays_take_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = pytest.importorskip("cupy")
    stand_in = cupy_stand_in.Namespace()
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    image = sensor(RAMP, 0.5, 4).clip(30, 220).astype(np.float32)
    # one matrix product instead of many small ones
    assert estimate_poisson_gaussian(stand_in.asarray(image)) == pytest.approx(estimate_poisson_gaussian(image), rel=1e-4)
    assert {name for name in stand_in.used if not hasattr(cupy, name)} == set()
