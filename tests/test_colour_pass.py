"""Operations on colours in one pass give the same bits as one after the other, and as the way over planes."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.cpu import _colour_pass
from imrestore_kernels.cpu.colours import contrast, mean_grey
from imrestore_kernels.samples import COLUMNS, Size

import imrestore
from imrestore import augment, degrade
from tests.backends import same_bits

JITTER, CLIP = augment.ColorJitter((0.5, 1.6), (0.5, 1.6), (0, 2), (-90, 90)), degrade.Clip()
#: Steps, and how many operations on colours are in each pass, from first to last.
CHAINS = {
    "jitter": ([JITTER], [2]),
    "jitter, limits": ([JITTER, CLIP], [3]),
    "contrast": ([augment.Contrast(1.7)], [1]),
    "matrix": ([augment.Saturation(0.3)], [1]),
    "limits": ([degrade.Clip(0.3, 0.6)], [1]),
    "noise between": ([JITTER, CLIP, degrade.GaussianNoise(0.1), degrade.Clip(0.1, 0.8)], [3, 1]),
    "noise behind": ([augment.Contrast(), augment.Hue(40), degrade.GaussianNoise(0.1)], [2]),
    "noise before": ([degrade.GaussianNoise(0.1), JITTER, CLIP], [3]),
    "in another order": ([augment.Saturation(1.5), augment.Contrast(1.5), degrade.Clip(0.2, 0.9), augment.Brightness(0.9)], [2, 1]),
    "two limits": ([degrade.Clip(0.2, 0.9), degrade.Clip(0.3, 0.7)], [1]),
    "a warp before": ([augment.Affine((-20, 20)), JITTER, CLIP], [3]),
    "a crop before": ([augment.Crop((11, 29)), JITTER], [2]),
}
SIZES = ((12, 31), (13, 530), (11, 512), (16, 30))


def image_of(size: tuple[int, int], dtype: str, channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(sum(size)).random((*size, channels))
    if np.dtype(dtype).kind == "u":
        return (values * np.iinfo(dtype).max).astype(dtype)
    values[3, 4], values[5, 6, 1], values[7, 8, 0] = np.nan, np.inf, -np.inf
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("name", CHAINS)
def test_one_pass_gives_the_same_bits(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, passes = CHAINS[name]
    chain = degrade.Chain(steps, white=1)
    images = [image_of(size, dtype) for size in SIZES]
    if name != "noise behind" and dtype == "float32":
        for image in images:  # a mean of everything would leave nothing to compare
            np.nan_to_num(image, copy=False, posinf=1.5, neginf=-0.5)
            image[3, 4, 2] = np.nan if name in ("limits", "matrix", "two limits") else 0.25
    counts: list[int] = []
    run = _colour_pass.run

    def counted(parts: list[object], *more: object) -> bool:
        counts.append(len(parts))
        return run(parts, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(_colour_pass, "run", counted)
    together = [chain(image, rng=3, index=5, channel_axis=-1) for image in images]
    found, counts = counts, []
    planes = [chain(np.ascontiguousarray(image.transpose(2, 0, 1)), rng=3, index=5, channel_axis=0) for image in images]
    monkeypatch.setattr(_colour_pass, "joined", lambda parts, start: 0)
    apart = [chain(image, rng=3, index=5, channel_axis=-1) for image in images]
    for one, other, plane in zip(together, apart, planes, strict=True):
        assert same_bits(one, other)
        assert same_bits(one, np.ascontiguousarray(plane.transpose(1, 2, 0)))
    if dtype == "float32":
        assert found == passes * len(SIZES)
    elif dtype == "float64":
        assert found == []


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_batches(threads: int) -> None:
    chain = degrade.Chain([JITTER, CLIP], white=255)
    images = np.stack([image_of((40, 530), "uint8") // (k + 1) for k in range(3)])
    with imrestore.threads(threads):
        batch = chain(images, rng=1, index=7, batch_axis=0, channel_axis=-1)
        for k in range(3):
            assert same_bits(batch[k], chain(images[k], rng=1, index=7 + k, channel_axis=-1))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_go_one_after_the_other(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = degrade.Chain([augment.Contrast(1.5), augment.Brightness(0.7), degrade.Clip(10, 200)])
    image = image_of((9, 20), "uint8", channels)
    monkeypatch.setattr(_colour_pass, "run", None)
    planes = chain(np.ascontiguousarray(image.transpose(2, 0, 1)), rng=1, channel_axis=0)
    assert same_bits(chain(image, rng=1, channel_axis=-1), np.ascontiguousarray(planes.transpose(1, 2, 0)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_mean_is_that_of_contrast(channels: int) -> None:
    planes = np.random.default_rng(0).random((channels, 90, 101)).astype(np.float32)
    jobs, numbers = np.zeros((1, COLUMNS), np.int64), np.zeros((1, COLUMNS))
    jobs[0, 2:7] = (channels, 90, 101, 90, 101)
    grey = planes.copy().ravel()
    contrast(grey, grey, jobs, numbers, np.zeros(1, np.float32), Size.of(jobs))  # with a factor of 0 the mean is left
    assert set(grey.tolist()) == {float(np.float32(mean_grey((planes.ravel(), grey, jobs, numbers, grey), 0)))}


@pytest.mark.parametrize(
    ("limits", "needless"),
    [((None, None), True), ((-5, 300), True), ((0, 255), True), ((1, 255), False), ((0, 254), False), ((0, 254.4), False)],
)
def test_limits_that_the_type_has_anyway(limits: tuple[float | None, float | None], needless: bool) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for image, axes in ((ramp, {}), (np.stack([ramp] * 3, axis=-1), {"channel_axis": -1})):
        brighter = augment.Brightness(1.5, shift=-0.2)
        once = degrade.Chain([brighter, degrade.Clip(*limits)])(image, **axes)
        assert same_bits(once, brighter(image, **axes)) == needless
        low, high = (0 if limits[0] is None else limits[0], 255 if limits[1] is None else limits[1])
        exact = np.clip(image * np.float64(1.5) - 51, low, high)
        np.testing.assert_allclose(once, np.clip(exact, 0, 255), atol=0.500001)
