"""Blur and resizing as steps: their windows against the formulas, their parameters, batches, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image
from scipy.special import j1

import imrestore
from imrestore.degrade import (
    Chain,
    Choice,
    DefocusBlur,
    GaussianBlur,
    GeneralizedGaussianBlur,
    Integers,
    MotionBlur,
    PlateauBlur,
    PSFBlur,
    Resize,
    SincBlur,
    _psf,
)
from tests.backends import same_bits
from tests.photographs import FOLDER

BLURS = [
    GaussianBlur(2.0),
    GaussianBlur(3.0, 1.0, angle=30, size=15),
    GeneralizedGaussianBlur(2.0, 1.0, beta=0.7, angle=45),
    PlateauBlur(1.5, beta=1.3),
    SincBlur(1.2, size=13),
    DefocusBlur(4.3),
    MotionBlur(9, angle=20, bend=60),
    PSFBlur([[0.0, 0.2], [0.3, 0.1], [0.0, 0.4]]),
]


def point(step: Any, size: int = 41) -> np.ndarray:
    """What a step makes of a point: its point spread function."""
    image = np.zeros((size, size))
    image[size // 2, size // 2] = 1
    return step(image, rng=0)


@pytest.mark.parametrize("step", BLURS, ids=lambda step: type(step).__name__)
def test_a_blur_keeps_flat_images(step: Any) -> None:
    np.testing.assert_allclose(step(np.full((30, 33), 7.0), rng=0), 7.0, rtol=1e-13)
    assert abs(point(step).sum() - 1) < 1e-12


def test_gaussian_blur_is_the_gaussian_filter() -> None:
    image = np.random.default_rng(0).random((40, 50))
    for sigma in (0.0, 0.3, 1.0, 2.7, 6.0):
        np.testing.assert_allclose(GaussianBlur(sigma)(image), imrestore.gaussian(image, sigma), rtol=0, atol=2e-7)
        np.testing.assert_allclose(GaussianBlur(sigma, sigma, angle=17)(image), GaussianBlur(sigma)(image), rtol=0, atol=1e-4)


def mahalanobis(size: int, sigma: float, sigma2: float, angle: float) -> np.ndarray:
    """As Real-ESRGAN has it: p' inverse(covariance) p, with y pointing up."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[c, -s], [s, c]])
    inverse = np.linalg.inv(turn @ np.diag([sigma**2, sigma2**2]) @ turn.T)
    line = np.arange(size) - size // 2
    p = np.stack(np.broadcast_arrays(line[None, :], -line[:, None]), axis=-1)
    return np.einsum("yxi,ij,yxj->yx", p, inverse, p)


def test_long_windows_are_turned_as_they_say() -> None:
    squares = mahalanobis(41, 3.0, 1.2, 30.0)
    for step, expected in (
        (GaussianBlur(3.0, 1.2, angle=30, size=41), np.exp(-0.5 * squares)),
        (GeneralizedGaussianBlur(3.0, 1.2, beta=0.8, angle=30, size=41), np.exp(-0.5 * squares**0.8)),
        (PlateauBlur(3.0, 1.2, beta=1.4, angle=30, size=41), 1 / (1 + squares**1.4)),
    ):
        np.testing.assert_allclose(point(step), expected / expected.sum(), rtol=0, atol=2e-7)
    ahead = point(GaussianBlur(3.0, 1.2, angle=30, size=41))
    assert ahead[20 - 2, 20 + 3] > ahead[20 + 2, 20 + 3]  # counterclockwise as seen: up to the right


def test_sinc_is_the_ideal_filter() -> None:
    down, right = np.mgrid[-10:11, -10:11]
    r = np.hypot(down, right)
    with np.errstate(invalid="ignore"):
        expected = 1.3 * j1(1.3 * r) / (2 * np.pi * r)
    expected[10, 10] = 1.3**2 / (4 * np.pi)
    found = point(SincBlur(1.3), 41)[10:31, 10:31]
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=0, atol=1e-12)
    assert SincBlur(np.pi, size=21).draw((8, 8))[0][1] == {"cutoff": np.pi, "size": 21}


def test_discs_and_paths_have_the_size_they_say() -> None:
    for radius in (1.5, 4.0, 10.3):
        window = point(DefocusBlur(radius))
        assert abs(1 / window.max() - np.pi * radius**2) < 0.04 * np.pi * radius**2 + 0.5
        assert (window > 0)[20].sum() == 2 * int(np.ceil(radius + 0.5)) - 1
    down, right = np.mgrid[-20:21, -20:21]
    for length, angle in ((0.0, 0.0), (8.0, 0.0), (8.0, 90.0), (15.0, 30.0)):
        window = point(MotionBlur(length, angle=angle))
        assert abs((window * down).sum()) < 1e-9
        assert abs((window * right).sum()) < 1e-9
        # The variance of a line is L^2 / 12; that every point is shared by its neighbours adds at most 1/4 on each axis.
        spread = (window * (down**2 + right**2)).sum() - length**2 / 12
        assert -1e-3 < spread < 0.5
        across = (window * (np.sin(np.deg2rad(angle)) * right + np.cos(np.deg2rad(angle)) * down) ** 2).sum()
        assert across < 0.3
    arc = point(MotionBlur(20, angle=0, bend=180))
    assert np.abs(np.argwhere(arc > 1e-9)[:, 1] - 20).max() <= 8  # a half circle of length 20 is 12.7 wide
    assert not np.allclose(arc, arc[::-1])


def test_windows_are_convolved_not_correlated() -> None:
    psf = np.arange(1.0, 13).reshape(3, 4)
    found = point(PSFBlur(psf), 9)
    expected = np.zeros((9, 9))
    expected[3:6, 2:6] = psf
    np.testing.assert_array_equal(found, expected)
    image = np.random.default_rng(0).random((20, 21))
    np.testing.assert_allclose(
        PSFBlur(psf[:, :3], mode="wrap")(image), scipy.ndimage.convolve(image, psf[:, :3], mode="wrap"), rtol=1e-12
    )


def test_every_sample_draws_its_own_point_spread_function() -> None:
    step = PSFBlur(np.eye(3)[:, None, :])
    assert {record[0][1]["psf"] for record in step.draw((8, 8), rng=1, count=30)} == {0, 1, 2}


def test_a_shifted_gaussian_moves_the_image_up_and_left() -> None:
    image = np.random.default_rng(0).random((30, 30))
    for second in (None, 1.5):
        moved, still = GaussianBlur(1.5, second, shift=2)(image), GaussianBlur(1.5, second)(image)
        np.testing.assert_allclose(moved[5:20, 5:20], still[7:22, 7:22], rtol=0, atol=1e-5)  # it is cut off elsewhere
    assert np.isfinite(GaussianBlur(0.0, shift=1.5)(image)).all()


def test_windows_are_as_small_as_float32_allows() -> None:
    weights = _psf.gaussian(41, *(np.array([0.0, 0.5, 2.0]) for _ in range(2)), np.zeros(3))
    sizes = _psf.trimmed_sizes(weights)
    assert sizes.tolist() == [1, 5, 23]
    for one, size in zip(weights, sizes, strict=True):
        cut = (41 - size) // 2
        assert 1 - one[cut : 41 - cut, cut : 41 - cut].sum() < _psf.NEGLIGIBLE
        assert size == 1 or 1 - one[cut + 1 : 40 - cut, cut + 1 : 40 - cut].sum() > _psf.NEGLIGIBLE
    image = np.random.default_rng(0).random((30, 30)).astype(np.float32)
    assert same_bits(GaussianBlur(0.7, size=101)(image), GaussianBlur(0.7, size=21)(image))


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    chain = Chain(
        [
            GaussianBlur((0.2, 3.0), size=Integers(7, 21)),
            GeneralizedGaussianBlur((0.2, 3), (0.2, 3), beta=(0.5, 4), angle=(0, 180)),
            MotionBlur((0, 20)),
            Resize((0.5, 1.5), method=Choice(["area", "bilinear", "bicubic"])),
            Resize(size=(20, 24)),
        ]
    )
    images = np.random.default_rng(0).random((4, 3, 40, 32)).astype(np.float32)
    together = chain(images, rng=3, index=10)
    assert together.shape == (4, 3, 20, 24)
    for k in range(4):
        assert same_bits(chain(images[k], rng=3, index=10 + k, channel_axis=0), together[k])


def test_sizes_of_results() -> None:
    image = np.zeros((30, 41), np.uint8)
    assert Resize(1 / 3)(image).shape == (10, 14)  # ceil, as in MATLAB
    assert Resize(0.001)(image).shape == (1, 1)
    assert Resize(size=(7, 50))(image).shape == (7, 50)
    assert Resize(size=9)(image).shape == (9, 9)
    assert Chain([Resize((0.5, 1.5)), Resize(0.5, of="start")])(image, rng=5).shape == (15, 21)
    assert Chain([Resize((0.5, 1.5)), Resize(0.5)])(image, rng=5).shape != (15, 21)


def test_a_broken_scale_is_that_of_the_pixels() -> None:
    """Not the ratio of the sizes, which are rounded up."""
    ramp = np.arange(50.0)[None, :].repeat(50, axis=0)
    found = Resize(0.3)(ramp[:, :49])
    middle = (np.arange(15) + 0.5) / 0.3 - 0.5
    np.testing.assert_allclose(found[5, 3:12], middle[3:12], rtol=1e-3)


@pytest.mark.parametrize("step", [*BLURS, Resize(0.5), Resize(1.7, method="lanczos3", mode="wrap")], ids=lambda s: type(s).__name__)
def test_gradients(step: Any) -> None:
    image = torch.rand(2, 2, 9, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: step(x, rng=0), image, fast_mode=True)


def test_the_constant_is_in_the_images_units() -> None:
    image = np.full((9, 9), 200, np.uint8)
    step = GaussianBlur(1.0, mode="constant", cval=51.0)
    scaled = Chain([GaussianBlur(1.0, mode="constant", cval=0.2)], white=1)
    assert step(image)[0, 0] == Chain([step])(image)[0, 0] == scaled(image)[0, 0]
    resize = Resize(0.5, mode="constant", cval=51.0)
    assert resize(image)[0, 0] == Chain([Resize(0.5, mode="constant", cval=0.2)], white=1)(image)[0, 0] != 200


def test_super_resolution_of_set5() -> None:
    """The published bicubic numbers: 33.66, 30.39 and 28.42 dB. MATLAB also rounds between the axes, which is 0.01 dB at x2."""
    files = sorted((FOLDER / "Set5").glob("*_GT.bmp"))
    if not files:
        pytest.skip(f"{FOLDER / 'Set5'} holds no pictures")
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    for scale, published in ((2, 33.66), (3, 30.39), (4, 28.42)):
        values = []
        for picture in pictures:
            whole = picture[: len(picture) // scale * scale, : picture.shape[1] // scale * scale]
            small = Resize(1 / scale)(whole, channel_axis=-1)
            large = Resize(float(scale))(small, channel_axis=-1)
            values.append(imrestore.metrics.psnr(large, whole, protocol="y-sr", crop=scale, channel_axis=-1))
        assert abs(np.mean(values) - published) < 0.015


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianBlur(-1), "sigma is -1; it must be a finite number from 0 to"),
        (lambda: GaussianBlur(20), "sigma is 20"),
        (lambda: GaussianBlur(1, size=128), "size is 128; it must be a whole number from 1 to 127"),
        (lambda: GaussianBlur(1, size=(3, 7)), "size is .* a whole number from 1 to 127"),
        (lambda: GaussianBlur(1, mode="zero"), "mode is 'zero'"),
        (lambda: GaussianBlur(1, shift=17), "shift is 17; it must be a number from -16 to 16"),
        (lambda: GaussianBlur(1, cval=np.inf), "cval is inf"),
        (lambda: PlateauBlur(1, beta=0), "beta is 0"),
        (lambda: DefocusBlur(63), "radius is 63"),
        (lambda: MotionBlur(200), "length is 200"),
        (lambda: SincBlur(4), "cutoff is 4"),
        (lambda: PSFBlur([1, 2]), "psf is .* an array of finite numbers with 2 axes"),
        (lambda: PSFBlur(np.ones((3, 129))), "1 to 127 pixels"),
        (lambda: PSFBlur([[np.nan]]), "psf is"),
        (lambda: Resize(), "scale is None and size is None; one of them must be given"),
        (lambda: Resize(2, size=3), "one of them must be given"),
        (lambda: Resize(0), "scale is 0"),
        (lambda: Resize(size=(3, 0)), "size is .3, 0.; it must be a whole number from 1 to 2\\*\\*24, or a pair of them"),
        (lambda: Resize(2, method="cubic"), "method is 'cubic'"),
        (lambda: Resize(2, of="now"), "of is 'now'"),
        (lambda: Resize(2, slope=np.nan), "slope is nan"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_types_that_are_refused() -> None:
    for make in (lambda: GaussianBlur("1"), lambda: PSFBlur("psf"), lambda: Resize(size=2.5), lambda: Resize(2, antialias=1)):
        with pytest.raises(TypeError):
            make()
