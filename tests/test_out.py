"""``out=``: the returned object, any layout, and no silent aliasing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.backends import same_bits
from tests.calls import BORDERED, FILTERS, fitting, public
from tests.test_layouts import LAYOUTS, picture, read_only


@pytest.mark.parametrize("layout", [f for f in LAYOUTS if f is not read_only], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", FILTERS)
def test_out_of_any_layout(name: str, layout: Callable[[np.ndarray], np.ndarray]) -> None:
    function = public(name)
    for keywords in fitting(name, {}, {"axes": 1}, {"where": picture("float32") > 0}):
        out = layout(np.zeros((21, 26), np.float32))
        image = picture("float32").astype(out.dtype)
        result = function(image, out=out, **keywords)
        assert result is out
        assert same_bits(np.asarray(out).astype(np.float32), function(picture("float32"), **keywords))


@pytest.mark.parametrize("name", FILTERS)
def test_out_writes_only_out(name: str) -> None:
    large = np.full((31, 36), 7, np.uint8)
    image = picture("uint8")
    public(name)(image, out=large[5:26, 5:31])
    around = large.copy()
    around[5:26, 5:31] = 7
    assert (around == 7).all()
    assert not (large[5:26, 5:31] == 7).all()


def overlaps() -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
    """Pairs of image and out over one piece of memory."""

    def both(first: tuple[slice, ...], second: tuple[slice, ...]) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        def make() -> tuple[np.ndarray, np.ndarray]:
            memory = picture("uint16", (40, 44))
            return memory[first], memory[second]

        return make

    s = np.s_
    return {
        "the image itself": both(s[:, :], s[:, :]),
        "turned round": both(s[:, :], s[::-1, :]),
        "one row further": both(s[0:20, :], s[1:21, :]),
        "one row back": both(s[5:25, :], s[4:24, :]),
        "one column further": both(s[:, 0:20], s[:, 1:21]),
        "last row only": both(s[0:20, :], s[19:39, :]),
        "every other row": both(s[0:40:2, :], s[1:40:2, :]),  # interleaved, no byte in common
        "the same corner": both(s[0:20, 0:20], s[19:39, 19:39]),
    }


@pytest.mark.parametrize("pair", overlaps().values(), ids=overlaps())
@pytest.mark.parametrize("name", FILTERS)
def test_out_that_overlaps_the_image_is_right(name: str, pair: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
    function = public(name)
    image, out = pair()
    expected = function(image.copy())
    assert function(image, out=out) is out
    assert same_bits(np.ascontiguousarray(out), expected)


@pytest.mark.parametrize("name", FILTERS)
def test_out_that_overlaps_the_mask_is_right(name: str) -> None:
    function = public(name)
    image = picture("uint8")
    out = (image > 60).astype(np.uint8)
    where = out.view(bool)
    expected = function(image, where=where.copy())
    assert function(image, where=where, out=out) is out
    assert same_bits(out, expected)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("out", "error"),
    [
        (np.zeros((21, 25), np.float32), ValueError),
        (np.zeros((21, 26, 1), np.float32), ValueError),
        (np.zeros(21 * 26, np.float32), ValueError),
        (np.zeros((21, 26), np.float64), (TypeError, ValueError)),
        (np.zeros((21, 26), np.int32), (TypeError, ValueError)),
        (read_only(np.zeros((21, 26), np.float32)), ValueError),
        (np.broadcast_to(np.zeros(26, np.float32), (21, 26)), ValueError),
        (np.lib.stride_tricks.as_strided(np.zeros(26, np.float32), (21, 26), (0, 4)), ValueError),
        (np.lib.stride_tricks.as_strided(np.zeros(50, np.float32), (21, 26), (4, 4)), ValueError),
        ([[0.0] * 26] * 21, TypeError),
        (np.ma.zeros((21, 26), np.float32), TypeError),
    ],
    ids=[
        *("columns", "axes", "flat", "float64", "int32", "read-only", "broadcast", "stride 0", "self-overlapping"),
        *("list", "masked"),
    ],
)  # fmt: skip
def test_out_that_cannot_be_written_is_refused(name: str, out, error) -> None:
    with pytest.raises(error, match=r"^out "):
        public(name)(picture("float32"), out=out)


@pytest.mark.parametrize("name", BORDERED)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_padding_with_any_nan_is_left_out(name: str, kind: type) -> None:
    """A NaN cval under nan_policy='omit' takes no part, whatever type of number says it."""
    image = np.random.default_rng(5).random((9, 11)).astype(np.float32)
    window = 1.0 if name == "gaussian" else 3
    function = public(name)
    expected = function(image, window, mode="constant", cval=float("nan"), nan_policy="omit")
    assert np.isfinite(expected).all()
    for _ in range(2):  # the second call may take another way
        result = function(image, window, mode="constant", cval=kind("nan"), nan_policy="omit")
        np.testing.assert_array_equal(result, expected)
