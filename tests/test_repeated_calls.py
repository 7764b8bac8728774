"""What a filter remembers of one call must never be taken for another."""

from __future__ import annotations

import numpy as np
import pytest

from imrestore.filters import _gaussian, _guided, _mean, _median
from tests.backends import same_bits
from tests.calls import BORDERED, FILTERS, oracle, public
from tests.test_layouts import picture, unaligned

REPLAYS = {"mean": _mean._replays, "median": _median._replays, "gaussian": _gaussian._replays, "guided": _guided._replays}


@pytest.mark.parametrize("name", FILTERS)
def test_the_second_call_is_as_right_as_the_first(name: str) -> None:
    function, definition = public(name), oracle(name)
    one_stage = {"stages": 1} if name == "bm3d" else {}
    for dtype in ("uint8", "uint16", "float32"):
        for turn in range(3):
            image = np.roll(picture(dtype, (16, 70)), turn, 0)
            for window in (1, 3, 5):
                definition(image, window, **one_stage).assert_matches(function(image, window, **one_stage))


@pytest.mark.parametrize("name", FILTERS)
def test_results_of_repeated_calls_are_apart(name: str) -> None:
    function, image = public(name), picture("uint8")
    results = [function(image) for _ in range(4)]
    assert len({result.ctypes.data for result in results}) == 4
    results[0][...] = 0
    assert same_bits(results[1], results[3])
    assert all(result.base is None and result.flags.writeable for result in results)


@pytest.mark.parametrize("name", FILTERS)
def test_nan_policy_raise_looks_at_every_image(name: str) -> None:
    function, image = public(name), picture("float32")
    for _ in range(3):
        function(image, nan_policy="raise")
    image[3, 4] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^image contains NaN"):
            function(image, nan_policy="raise")
    assert np.isnan(function(image)).any()


@pytest.mark.parametrize("name", FILTERS)
def test_the_same_shape_in_another_form(name: str) -> None:
    """Same shape, strides and dtype, or all but one of them."""
    function, image = public(name), picture("float32", (30, 30))
    expected = function(image)
    read_only = image.copy()
    read_only.flags.writeable = False
    for _ in range(2):
        for other in (read_only, unaligned(image), image.astype(">f4"), np.asfortranarray(image), image[::1]):
            assert same_bits(np.asarray(function(other)).astype("f4"), expected)
        assert same_bits(function(image), expected)
        np.testing.assert_array_equal(function(image.T), function(image.T.copy()))
        assert same_bits(function(image.view(np.int32)), function(image.view(np.int32).copy("F").copy("C")))


@pytest.mark.parametrize("name", BORDERED)
def test_values_that_are_equal_but_not_alike(name: str) -> None:
    """1, 1.0 and True are one key of a dict."""
    function, image = public(name), picture("uint8")
    for _ in range(2):
        assert same_bits(function(image, mode="constant", cval=1), function(image, mode="constant", cval=1.0))
        assert same_bits(function(image, mode="constant", cval=np.uint8(1)), function(image, mode="constant", cval=1))
        with pytest.raises(TypeError, match=r"^cval "):
            function(image, mode="constant", cval=True)
        with pytest.raises(TypeError, match=r"^(size|sigma|patch_distance|sigma_space|radius) "):
            function(image, True)


@pytest.mark.parametrize("name", REPLAYS)
def test_what_is_remembered_is_bounded(name: str) -> None:
    function, image = public(name), picture("float32", (9, 9))
    for cval in range(600):
        function(image, mode="constant", cval=float(cval))
        function(image, mode="constant", cval=float("nan"))
        assert len(REPLAYS[name]) <= 256


@pytest.mark.parametrize("name", FILTERS)
def test_arguments_that_cannot_be_hashed(name: str) -> None:
    if name in BORDERED:
        with pytest.raises(TypeError, match=r"^mode "):
            public(name)(picture("uint8"), mode=["reflect"])
    else:
        with pytest.raises(TypeError, match=r"^profile "):
            public(name)(picture("uint8"), profile=["normal"])
    with pytest.raises(TypeError, match=r"^nan_policy "):
        public(name)(picture("uint8"), nan_policy={})


def test_a_filter_inside_a_context_of_its_own() -> None:
    """Neither NumPy's error state nor its print options nor a seeded generator changes."""
    state = np.geterr()
    np.random.seed(1)  # noqa: NPY002  the legacy generator is the one a library could disturb
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    image = picture("float32")
    image[2, 3] = np.nan
    for name in FILTERS:
        public(name)(image, nan_policy="omit")
    assert np.geterr() == state
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
