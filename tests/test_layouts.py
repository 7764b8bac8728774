"""What goes in comes out: layouts, byte orders and subclasses change neither the values nor the input."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from tests.backends import same_bits
from tests.calls import FILTERS, fitting, public

DTYPES = ("uint8", "int16", "float32", "float64")


def picture(dtype: str, shape: tuple[int, ...] = (21, 26)) -> np.ndarray:
    rng = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    return rng.integers(0, 120, shape).astype(dtype)


def negative_stride(image: np.ndarray) -> np.ndarray:
    return image[::-1].copy()[::-1]


def negative_strides(image: np.ndarray) -> np.ndarray:
    return image[::-1, ::-1].copy()[::-1, ::-1]


def fortran(image: np.ndarray) -> np.ndarray:
    return np.asfortranarray(image)


def sliced(image: np.ndarray) -> np.ndarray:
    large = np.zeros((image.shape[0] * 2, image.shape[1] * 3), image.dtype)
    large[::2, 1::3] = image
    return large[::2, 1::3]


def offset_rows(image: np.ndarray) -> np.ndarray:
    """Rows that are whole, with a gap between them: what a crop is."""
    large = np.zeros((image.shape[0] + 4, image.shape[1] + 7), image.dtype)
    large[2:-2, 3:-4] = image
    return large[2:-2, 3:-4]


def transposed(image: np.ndarray) -> np.ndarray:
    return image.T.copy().T


def unaligned(image: np.ndarray) -> np.ndarray:
    view = np.zeros(image.nbytes + 1, np.uint8)[1:].view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


def read_only(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image.flags.writeable = False
    return image


def field_of_a_struct(image: np.ndarray) -> np.ndarray:
    records = np.zeros(image.shape, [("flag", "u1"), ("value", image.dtype)])
    records["value"] = image
    return records["value"]


def big_endian(image: np.ndarray) -> np.ndarray:
    return image.astype(image.dtype.newbyteorder(">"))


def big_endian_unaligned(image: np.ndarray) -> np.ndarray:
    return unaligned(big_endian(image))


class Subclass(np.ndarray):
    pass


def subclass(image: np.ndarray) -> np.ndarray:
    return image.view(Subclass)


LAYOUTS = (
    negative_stride,
    negative_strides,
    fortran,
    sliced,
    offset_rows,
    transposed,
    unaligned,
    read_only,
    field_of_a_struct,
    big_endian,
    big_endian_unaligned,
    subclass,
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FILTERS)
def test_layouts_are_bit_equal(name: str, dtype: str, layout: Callable[[np.ndarray], np.ndarray]) -> None:
    function, plain = public(name), picture(dtype)
    image = layout(plain)
    same_strides = (unaligned, read_only, big_endian, big_endian_unaligned, subclass)
    assert (image.strides == plain.strides) == (layout in same_strides)
    strides, flags, values = image.strides, str(image.flags), image.tobytes()
    for keywords in fitting(name, {}, {"mode": "wrap"}, {"axes": 0}, {"where": plain > 20}):
        for _ in range(2):  # what is remembered of a plain call must not be taken for the other layout, nor the reverse
            result = function(image, **keywords)
            assert result.dtype == image.dtype
            assert same_bits(np.asarray(result).astype(plain.dtype), function(plain, **keywords))
    assert (image.strides, str(image.flags), image.tobytes()) == (strides, flags, values)


@pytest.mark.parametrize("name", FILTERS)
def test_every_order_of_axes_is_bit_equal(name: str) -> None:
    function, plain = public(name), picture("uint16", (5, 6, 7))
    expected = function(plain, 2, axes=(0, 2))
    for order in itertools.permutations(range(3)):
        image = plain.transpose(order)
        axes = (order.index(0), order.index(2))
        assert same_bits(function(image, 2, axes=axes), np.ascontiguousarray(expected.transpose(order)))


@pytest.mark.parametrize("name", FILTERS)
def test_stride_zero_and_overlapping_windows(name: str) -> None:
    function = public(name)
    row = picture("float32", (30,))
    for image in (np.broadcast_to(row, (20, 30)), np.lib.stride_tricks.sliding_window_view(row, 9)):
        assert same_bits(function(image), function(image.copy()))
    np.testing.assert_array_equal(row, picture("float32", (30,)))


@pytest.mark.parametrize("name", FILTERS)
def test_memory_mapped_files(name: str, tmp_path) -> None:
    function, plain = public(name), picture("uint16")
    np.save(tmp_path / "image.npy", plain)
    image = np.load(tmp_path / "image.npy", mmap_mode="r")
    assert same_bits(np.asarray(function(image)), function(plain))
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), plain)


@pytest.mark.parametrize("name", FILTERS)
def test_array_likes_are_what_numpy_makes_of_them(name: str) -> None:
    function, plain = public(name), picture("int64", (9, 8))

    class WithArray:
        def __array__(self, dtype=None, copy=None):
            return plain

    expected = function(plain)
    for image in (plain.tolist(), tuple(map(tuple, plain.tolist())), WithArray(), memoryview(plain)):
        result = function(image)
        assert type(result) is np.ndarray
        assert same_bits(result, expected)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("order", "<>=")
def test_the_byte_order_comes_back(name: str, order: str) -> None:
    image = picture("float32").astype(np.dtype("f4").newbyteorder(order))
    assert public(name)(image).dtype == image.dtype


@pytest.mark.parametrize("name", FILTERS)
def test_results_are_new_arrays(name: str) -> None:
    for size in (1, 3) if name in ("mean", "median") else (0, 2):
        image = picture("uint8")
        result = public(name)(image, size)
        assert not np.shares_memory(result, image)
        result[...] = 0
        np.testing.assert_array_equal(image, picture("uint8"))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("make", "alternative"),
    [
        (lambda image: np.ma.masked_greater(image, 50), "where"),
        (lambda image: np.ma.masked_array(image), "where"),
        (lambda image: image.view(np.matrix), "asarray"),
    ],
    ids=["masked", "masked without a mask", "matrix"],
)
def test_arrays_with_semantics_of_their_own_are_refused(name: str, make, alternative: str) -> None:
    with pytest.raises(TypeError, match=rf"^image .*{alternative}"):
        public(name)(make(picture("uint8")))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (2, 0, 3)], ids=str)
def test_zero_size_axes_are_an_error(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^image "):
        public(name)(np.zeros(shape, np.uint8))
