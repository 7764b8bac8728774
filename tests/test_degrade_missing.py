"""Steps that take pixels away: single ones, under strokes, boxes and text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels import glyphs
from scipy import ndimage

from imrestore import degrade
from imrestore.degrade import Choice, Integers, MissingBoxes, MissingPixels, MissingStrokes, MissingText
from tests.backends import same_bits

STEPS: dict[str, Any] = {
    "pixels": MissingPixels((0.2, 0.6)),
    "strokes": MissingStrokes(Integers(1, 5), length=(5, 60), width=(1, 6)),
    "boxes": MissingBoxes(Choice([1, 3]), size=(2, 20)),
    "text": MissingText(Integers(2, 4), height=(7, 20), letters=Integers(3, 9)),
}


def images(dtype: str = "float32", count: int = 4) -> np.ndarray:
    values = np.random.default_rng(0).uniform(1, 200, (count, 3, 41, 52))
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_the_mask_says_which_pixels_are_missing(name: str, dtype: str) -> None:
    batch, step = images(dtype), STEPS[name]
    damaged, mask = step(batch, rng=5, index=7), step.mask(batch, rng=5, index=7)
    assert (mask.dtype, mask.shape) == (batch.dtype, batch.shape)
    assert set(np.unique(mask).tolist()) == {0, 1}
    np.testing.assert_array_equal(damaged, np.where(mask == 1, 0, batch))
    assert (mask == mask[:, :1]).all(), "a pixel is missing in all channels"
    assert len({one.tobytes() for one in mask}) == 4
    for k in range(4):
        assert same_bits(step(batch[k], rng=5, index=7 + k, channel_axis=0), damaged[k])


@pytest.mark.parametrize("name", STEPS)
def test_what_is_put_in_their_place(name: str) -> None:
    batch = images()
    step = type(STEPS[name])(fill=(-9, -1))
    damaged, mask = step(batch, rng=5), step.mask(batch, rng=5)
    values = [set(one[gone == 1].tolist()) for one, gone in zip(damaged, mask, strict=True)]
    assert all(len(found) == 1 and -9 <= found.pop() <= -1 for found in values)
    assert same_bits(type(STEPS[name])().mask(batch, rng=5), mask), "the fill must not change the place"
    scaled = degrade.Chain([type(step)(fill=255)], white=255)(batch, rng=5)
    assert set(scaled[scaled != batch].tolist()) == {1.0}


@pytest.mark.parametrize("name", STEPS)
def test_the_gradient_is_that_of_the_pixels_that_are_left(name: str) -> None:
    for kind in ("float32", "float64"):
        tensor = torch.from_numpy(images(kind)).requires_grad_()
        STEPS[name](tensor, rng=5).sum().backward()
        assert tensor.grad is not None
        np.testing.assert_array_equal(tensor.grad.numpy(), 1 - STEPS[name].mask(images(kind), rng=5))


def test_the_share_of_single_pixels() -> None:
    mask = MissingPixels(0.3).mask(np.zeros((400, 500), np.uint8), rng=1)
    assert mask.mean() == pytest.approx(0.3, abs=0.005)


def test_boxes_have_their_size_and_are_inside() -> None:
    for index in range(20):
        mask = MissingBoxes(1, size=11).mask(np.zeros((20, 17), np.uint8), rng=1, index=index)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert (len(rows), len(columns), mask.sum()) == (11, 11, 121)
    places = MissingBoxes(1, size=1).mask(np.zeros((600, 1, 5, 7)), rng=1)
    assert (places.sum(axis=0) > 0).all(), "a box may lie anywhere"
    assert MissingBoxes(1, size=30).mask(np.zeros((20, 17), np.uint8), rng=1).all()


def test_strokes_have_their_length_and_width() -> None:
    image = np.zeros((600, 600), np.uint8)
    dots = MissingStrokes(3, length=0, width=20).mask(image, rng=4)
    labels, count = ndimage.label(dots)
    assert count == 3
    for dot in ndimage.sum(dots, labels, [1, 2, 3]):
        assert dot == pytest.approx(np.pi * 100, rel=0.02)
    line = MissingStrokes(1, length=200, width=8, turn=0).mask(image, rng=6)
    assert line.sum() == pytest.approx(200 * 8 + np.pi * 16, rel=0.02)
    bent = MissingStrokes(1, length=200, width=8, turn=90).mask(image, rng=6)
    assert bent.sum() < 0.6 * line.sum()  # round and round the same square of 25 pixels


def test_letters_are_those_of_the_font() -> None:
    drawn = set()
    for index in range(30):
        mask = MissingText(1, height=7, letters=1).mask(np.zeros((90, 90), np.uint8), rng=2, index=index)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if min(rows[0], columns[0]) == 0 or max(rows[-1], columns[-1]) == 89:
            continue  # it may be cut off
        found = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        matches = []
        for character, bits in zip(glyphs.CHARACTERS, glyphs.BITS, strict=True):
            full = np.array([bits >> k & 1 for k in range(35)]).reshape(7, 5)
            trimmed = full[np.flatnonzero(full.any(axis=1))][:, np.flatnonzero(full.any(axis=0))]
            if trimmed.shape == found.shape and (trimmed == found).all():
                matches.append(character)
        assert matches
        drawn.add(matches[0])
    assert len(drawn) > 10


def test_lines_have_as_many_letters_as_they_say() -> None:
    image = np.zeros((50, 2000), np.uint8)
    for letters in (1, 4, 40):
        mask = MissingText(1, height=7, letters=Integers(letters, letters)).mask(image, rng=3)
        assert np.ptp(np.flatnonzero(mask.any(axis=0))) == pytest.approx(6 * letters - 2, abs=3)
    short = MissingText(1, height=7, letters=Choice([1, 40])).mask(np.zeros((20, 1, 50, 2000), np.uint8), rng=3)
    counts = short.sum(axis=(1, 2, 3))
    assert counts.min() < 30
    assert counts.max() > 300


@pytest.mark.parametrize("name", ["strokes", "boxes", "text"])
def test_none_of_them(name: str) -> None:
    batch = images()
    assert same_bits(type(STEPS[name])(0)(batch, rng=5), batch)
    assert not type(STEPS[name])(0).mask(batch, rng=5).any()


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_thin_images(name: str, shape: tuple[int, int]) -> None:
    assert STEPS[name](np.ones(shape), rng=1).shape == shape


def test_what_was_drawn() -> None:
    assert MissingStrokes(3).draw((8, 8), rng=1) == [("MissingStrokes", {"count": 3})]
    name, drawn = MissingText(Integers(1, 9)).draw((8, 8), rng=1)[0]
    assert name == "MissingText"
    assert 1 <= drawn["count"] <= 9
    assert drawn["letters"] == 16


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MissingPixels(1.5), ValueError, r"^amount is 1\.5; it must be a finite number from 0 to 1"),
        (lambda: MissingPixels("half"), TypeError, r"^amount is 'half' of type str"),
        (lambda: MissingPixels(fill=np.nan), ValueError, r"^fill is nan"),
        (lambda: MissingStrokes(-1), ValueError, r"^count is -1"),
        (lambda: MissingStrokes((1, 4)), ValueError, r"^count is \(1, 4\); it must be a whole number"),
        (lambda: MissingStrokes(width=-1), ValueError, r"^width is -1"),
        (lambda: MissingBoxes(1.5), ValueError, r"^count is 1\.5"),
        (lambda: MissingBoxes(size=[1, 2]), TypeError, r"^size is a list"),
        (lambda: MissingText(height=0), ValueError, r"^height is 0"),
        (lambda: MissingText(letters=0), ValueError, r"^letters is 0"),
    ],
)
def test_parameters_that_cannot_be_meant(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
