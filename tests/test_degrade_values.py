"""Parameters as they come: NumPy's numbers, distributions of any shape, numbers far out, arrays where none can be meant."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from imrestore import augment, degrade
from imrestore.degrade import (
    JPEG,
    Banding,
    Beta,
    Camera,
    Chain,
    Choice,
    Clip,
    ColorNoise,
    DefocusBlur,
    GaussianBlur,
    GaussianNoise,
    GeneralizedGaussianBlur,
    Haze,
    Integers,
    LogUniform,
    Maybe,
    MissingBoxes,
    MissingPixels,
    MissingStrokes,
    MissingText,
    Mixture,
    Mosaic,
    MotionBlur,
    Normal,
    OneOf,
    PlateauBlur,
    PoissonNoise,
    PSFBlur,
    RandomImpulse,
    Resize,
    RowNoise,
    SaltAndPepper,
    Shuffled,
    SincBlur,
    SpeckleNoise,
    SquareUniform,
    bsrgan,
    classical,
    real_esrgan,
)

IMAGE = np.zeros((12, 14), np.float32)


def type_name(value: Any) -> str:
    return type(value).__name__


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """What NumPy would warn of is either meant or refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("step", "low", "high"),
    [
        (lambda of: MissingBoxes(1, size=of), 1, 9),
        (lambda of: MissingStrokes(1, length=of, width=1), 1, 20),
        (lambda of: MissingStrokes(1, length=9, width=of), 1, 99),
        (lambda of: MissingStrokes(1, turn=of), 1, 168),
        (lambda of: MissingText(1, height=of), 0, 30),
    ],
    ids=["size", "length", "width", "turn", "height"],
)
@pytest.mark.parametrize("of", [Mixture([(1, 2), 3]), Choice([1, 3]), Normal(2, 0.3), LogUniform(1, 3)], ids=type_name)
def test_shapes_draw_from_any_distribution(step: Any, low: int, high: int, of: Any) -> None:
    assert low <= step(of).mask(IMAGE, rng=3).sum() <= high


def test_a_mixture_draws_arrays_of_any_shape() -> None:
    u = np.random.default_rng(0).random((50, 4))
    mixed = Mixture([(1, 2), 5, Choice([7, 8])], p=[0.5, 0.2, 0.3])
    assert (mixed.sample(u).ravel() == mixed.sample(u.ravel())).all()


NUMPY_NUMBERS = [
    (JPEG(np.float32(50)), JPEG(50), "JPEG(quality=50.0)"),
    (JPEG(np.float64(50)), JPEG(50), "JPEG(quality=50.0)"),
    (Banding(period=np.int64(9)), Banding(period=9), "Banding(period=9)"),
    (Camera(red=np.float16(2)), Camera(red=2), "Camera(red=2.0)"),
    (Haze(airlight=(np.float32(0.5), np.float64(1))), Haze(airlight=(0.5, 1)), "Haze(airlight=(0.5, 1.0))"),
    (MotionBlur(angle=np.uint8(7)), MotionBlur(angle=7), "MotionBlur(angle=7)"),
    (GaussianBlur(shift=np.float32(2), cval=np.int8(3)), GaussianBlur(shift=2, cval=3), "GaussianBlur(shift=2.0, cval=3)"),
    (RowNoise(per_channel=np.bool_(True)), RowNoise(per_channel=True), "RowNoise(per_channel=True)"),
    (RowNoise(axis=np.str_("columns")), RowNoise(axis="columns"), "RowNoise(axis='columns')"),
    (GaussianNoise(grey=np.float64(0.5)), GaussianNoise(grey=0.5), "GaussianNoise(grey=0.5)"),
    (GaussianNoise(Integers(np.int16(2), 9.0)), GaussianNoise(Integers(2, 9)), "GaussianNoise(sigma=Integers(low=2, high=9))"),
    (GaussianNoise(Normal(np.float32(9), 1)), GaussianNoise(Normal(9, 1)), "GaussianNoise(sigma=Normal(mean=9.0, sigma=1))"),
    (
        GaussianNoise(Mixture([(np.float32(1), 2), np.int64(3)])),
        GaussianNoise(Mixture([(1, 2), 3])),
        "GaussianNoise(sigma=Mixture(parts=((1.0, 2), 3), p=None))",
    ),
    (
        GaussianNoise(Choice(np.array([1.0, 2.0]))),
        GaussianNoise(Choice([1, 2])),
        "GaussianNoise(sigma=Choice(values=(1.0, 2.0), p=None))",
    ),
    (augment.Rotate(cval=np.float32(3)), augment.Rotate(cval=3), "Rotate(cval=3.0)"),
    (augment.Elastic(spacing=np.float32(16)), augment.Elastic(spacing=16), "Elastic(spacing=16.0)"),
]


@pytest.mark.parametrize(("step", "same", "text"), NUMPY_NUMBERS, ids=[text for _, _, text in NUMPY_NUMBERS])
def test_numbers_of_numpy_become_those_of_python(step: Any, same: Any, text: str) -> None:
    assert step == same
    assert hash(step) == hash(same)
    assert step != type(step)()
    assert str(step) == text
    assert pickle.loads(pickle.dumps(step)) == step


COMBINED = [
    Chain([]),
    Chain([], white=3),
    Chain([GaussianNoise((1, 2)), Maybe([Clip(), JPEG()], 0.3), ColorNoise(covariance=[[1, 0], [0, 2]])], white=255, start=True),
    OneOf([GaussianNoise(LogUniform(1, 2)), Mosaic()], p=[0.25, 0.75]),
    Shuffled([SpeckleNoise(), Resize(size=4), RowNoise(axis=Choice(["rows", "columns"]))], keep=(0, 2)),
    classical(4, sigma=(1, 30), blur=(0, 3), noise="poisson"),
    bsrgan(4, camera=True),
    real_esrgan(4),
    PSFBlur([[0.5, 0.5]]),
]


@pytest.mark.parametrize("step", COMBINED, ids=type_name)
def test_what_is_printed_can_be_pasted_back(step: Any) -> None:
    names = {name: getattr(degrade, name) for name in degrade.__all__}
    assert eval(str(step), names) == step
    assert eval(repr(step), names) == step


def test_large_arrays_are_printed_by_their_size() -> None:
    assert str(PSFBlur(np.ones((2, 33, 35)))) == "PSFBlur(psf=<2 x 33 x 35 numbers>)"
    assert str(Haze(depth=np.ones((240, 320)))) == "Haze(depth=<depths of 240 x 320 pixels>)"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("make", [GeneralizedGaussianBlur, PlateauBlur])
def test_a_steep_window_is_a_disc(make: Any, dtype: Any) -> None:
    point = np.zeros((11, 11), dtype)
    point[5, 5] = 130
    y, x = np.mgrid[-5:6, -5:6]
    disc = make(2.25, beta=1e4)(point, rng=1)
    assert ((disc > 0) == (x * x + y * y < 2.25**2)).all()
    assert make(2.25, beta=1e4).draw((11, 11), rng=1)[0][1]["beta"] == 1e4


def test_colours_beyond_the_dtype_become_infinite() -> None:
    image = np.zeros((4, 5, 3), np.float32)
    assert not np.isfinite(ColorNoise(1e200)(image, rng=1, channel_axis=-1)).any()


HUGE = 10**400


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianBlur(HUGE), ValueError, r"^sigma is .*; it must be a finite number from 0 to"),
        (lambda: GaussianNoise((1, HUGE)), ValueError, r"^sigma is .*; it must be"),
        (lambda: GaussianNoise(Choice([1, HUGE])), ValueError, r"^values is .*; it must be a sequence of finite numbers or names"),
        (lambda: Beta(HUGE, 1), ValueError, r"^a is .*; it must be a finite number"),
        (lambda: Integers(0, HUGE), ValueError, r"^high is .*; it must be a finite number"),
        (lambda: SquareUniform(0, 1e200), ValueError, r"^high is 1e\+200; it must be a finite number <= 1e150"),
        (lambda: Choice(5), TypeError, r"^values is 5 of type int; it must be a sequence of finite numbers or names"),
        (lambda: Choice(None), TypeError, r"^values is None of type NoneType; it must be a sequence"),
        (lambda: Choice("rows"), TypeError, r"^values is 'rows' of type str; it must be a sequence"),
        (lambda: Choice([[1, 2], [3]]), TypeError, r"^values is \[1, 2\] of type list; it must be a sequence of finite numbers"),
        (lambda: Choice([True]), TypeError, r"^values is True of type bool"),
        (lambda: Mixture(5), TypeError, r"^parts is 5 of type int; it must be a sequence of numbers, ranges"),
        (lambda: bsrgan(2, camera=np.array([1, 2])), TypeError, r"^camera is .* it must be True or False"),  # type: ignore[arg-type]
        (lambda: classical(2, sigma=np.array([1, 2])), TypeError, r"^sigma is array.* it must be"),  # type: ignore[arg-type]
        (lambda: classical(2, sigma=(0, 3), noise="poisson"), ValueError, r"^sigma is \(0, 3\); it must be .* not 0"),
        (lambda: classical(2, sigma=Normal(9, 1), noise="poisson"), TypeError, r"^sigma is Normal.* a finite number > 0 or a"),
        (lambda: classical(2, blur="x"), TypeError, r"^blur is 'x' of type str; it must be"),  # type: ignore[arg-type]
        (lambda: classical(2, blur=16), ValueError, r"^blur is 16; it must be a finite number from 0 to 15\.8"),
        (lambda: Resize(size=2**62), ValueError, r"^size is 4611686018427387904; it must be a whole number from 1 to 2\*\*24"),
        (lambda: Resize(size=(3, HUGE)), ValueError, r"^size is .*; it must be a whole number from 1 to 2\*\*24"),
        (lambda: Resize(1e-320), ValueError, r"^scale is 1e-320; it must be a finite number from 0\.001 to 1000"),
        (lambda: PoissonNoise(1e-320), ValueError, r"^peak is 1e-320; it must be a finite number >= 1e-09"),
        (lambda: PoissonNoise(scale=1e300), ValueError, r"^scale is 1e\+300; it must be a finite number from 0 to 1e\+06"),
        (lambda: SpeckleNoise(1e300), ValueError, r"^sigma is 1e\+300; it must be a finite number from 0 to 1e\+06"),
        (lambda: SincBlur(1e-170), ValueError, r"^cutoff is 1e-170; it must be a finite number from 0\.001 to 3\.14159"),
        (lambda: Camera(red=1e-320), ValueError, r"^red is 1e-320; it must be a finite number from 0\.01 to 100"),
        (lambda: Banding(period=1e-320), ValueError, r"^period is 1e-320; it must be a finite number >= 0\.001"),
        (lambda: DefocusBlur(cval=1e308), ValueError, r"^cval is 1e\+308; it must be a number from -1e30 to 1e30"),
        (lambda: Resize(0.5, cval=-1e308), ValueError, r"^cval is -1e\+308; it must be a number from -1e30 to 1e30"),
        (lambda: PSFBlur(np.ones((3, 3), complex)), TypeError, r"(?s)^psf is array.* of type ndarray; it must be an array"),
        (lambda: PSFBlur([["1"]]), TypeError, r"^psf is \[\['1'\]\] of type list; it must be"),
        (lambda: PSFBlur(np.array([[np.longdouble("1e400")]])), ValueError, r"^psf is .*; it must be an array of finite numbers"),
        (lambda: Haze(depth=[[1j]]), TypeError, r"^depth is .* it must be None or an array"),
        (lambda: ColorNoise(covariance=[[1j]]), TypeError, r"^covariance is .* it must be a symmetric"),  # type: ignore[list-item]
    ],
)
def test_numbers_that_cannot_be_meant(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("role", ["image", "target", "mask"])
def test_masked_arrays_are_refused_by_name(role: str) -> None:
    arrays = {"image": IMAGE, "target": IMAGE, "mask": IMAGE, role: np.ma.zeros((12, 14), np.float32)}
    with pytest.raises(TypeError, match=rf"^{role} is a numpy.ma.MaskedArray; pass {role}\.data or {role}\.filled"):
        GaussianNoise(1)(**arrays)


def test_the_last_number_of_a_batch() -> None:
    step, batch = GaussianNoise(1), np.zeros((3, 1, 4, 4), np.float32)
    assert len(step.draw((4, 4), rng=1, index=2**64 - 3, count=3)) == 3
    with pytest.raises(ValueError, match=r"^index is \d+; the last of 3 samples would have the number 18446744073709551616, above"):
        step(batch, rng=1, index=2**64 - 2)


@pytest.mark.parametrize("step", [bsrgan(2, camera=True), Maybe(Mosaic(), 0), OneOf([Clip(), Camera()], p=[1, 0])], ids=type_name)
def test_grey_images_are_refused_whatever_is_drawn(step: Any) -> None:
    for index in range(8):
        with pytest.raises(ValueError, match=r"^image has 1 channels; for (Camera|Mosaic) it must have 3"):
            step.draw((1, 16, 16), rng=7, index=index)
    assert len(step.draw((3, 16, 16), rng=7, count=8)) == 8


def test_draws_are_in_the_units_of_the_steps() -> None:
    steps = [Clip(10, 200), GaussianNoise(20), MissingPixels(0.1, fill=3), SaltAndPepper(0.1, low=5), RandomImpulse(0.1, high=9)]
    for white in (1.0, 255.0, 65535.0):
        drawn = Chain(steps, white=255).draw((3, 8, 8), rng=1, data_range=white)
        found = [parameters for _, parameters in drawn]
        assert found[0] == pytest.approx({"low": 10, "high": 200})
        assert (found[1]["sigma"], found[2]["fill"]) == (20, 3)
        assert found[3] == pytest.approx({"amount": 0.1, "salt": 0.5, "low": 5, "high": 255})
        assert found[4] == pytest.approx({"amount": 0.1, "low": 0, "high": 9})


@pytest.mark.parametrize(
    "step", [Resize((0.3, 0.9)), Resize((0.3, 0.9), method="area"), Chain([Resize(Choice([0.37, 1.61]))])], ids=str
)
def test_a_resize_can_be_done_again_from_what_was_drawn(step: Any) -> None:
    image = np.random.default_rng(0).random((40, 50))
    ((_, drawn),) = step.draw(image.shape, rng=3, index=5)
    again = Resize(drawn["scale"], method=drawn["method"])(image)
    assert again.shape == (drawn["height"], drawn["width"])
    assert (again == step(image, rng=3, index=5)).all()


def test_the_covariance_that_was_drawn() -> None:
    step, image = ColorNoise(10), np.zeros((2, 3, 128, 128))
    drawn = step.draw((3, 128, 128), rng=5, count=2)
    for k, noisy in enumerate(step(image, rng=5)):
        ((_, parameters),) = drawn[k]
        found = np.cov(noisy.reshape(3, -1)) / 100
        np.testing.assert_allclose(found, parameters["covariance"], atol=0.05)
    ((_, parameters),) = ColorNoise(covariance=[[1, 0], [0, 2]]).draw((2, 8, 8), rng=5)
    assert parameters["covariance"] == [[1, 0], [0, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "ab"}, r"^shape is 'ab' of type str; it must be \(height, width\)"),
        ({"shape": None}, r"^shape is None of type NoneType; it must be"),
        ({"shape": (10**30, 4)}, r"^shape is .*; it must be .* whole numbers from 1 to 2\*\*24"),
        ({"shape": (2.5, 3)}, r"^shape is 2\.5 of type float; it must be"),
        ({"shape": (3, 4, True)}, r"^shape is True; it must be"),
        ({"count": -1}, r"^count is -1; it must be None or a whole number from 1 to"),
        ({"count": 10**30}, r"^count is 10+; it must be"),
        ({"count": 2.5}, r"^count is 2\.5 of type float; it must be"),
        ({"count": True}, r"^count is True; it must be"),
    ],
)
def test_bad_arguments_of_draw(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        GaussianNoise(3).draw(**{"shape": (4, 4), **arguments})
