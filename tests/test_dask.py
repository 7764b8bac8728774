"""dask arrays: lazy, and the same bits as the whole array for every chunking. BM3D has chunks of its own in `test_bm3d_dask`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calls import BORDERED, FILTERS, public
from tests.cases import MODES
from tests.test_layouts import picture

da = pytest.importorskip("dask.array")

WINDOWS = {
    "mean": [3, 8, (1, 6)],
    "median": [3, 8, (1, 6)],
    "gaussian": [0.5, 1.7, (0, 1.2)],
    "nl_means": [1, 4, (0, 3)],
    "guided": [1, 4, (0, 2)],
    "bilateral": [0.5, 1.7, (0, 1.2)],
}
CHUNKS = {
    "even": (7, 13),
    "smaller than the halo": (3, 2),
    "uneven": ((1, 9, 2, 9), (13, 1, 12)),
    "one row each": (1, 26),
    "whole": (21, 26),
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BORDERED)
def test_chunkings_are_bit_equal_to_the_whole_array(name: str, mode: str, chunks) -> None:
    function, image = public(name), picture("float32")
    lazy = da.from_array(image, chunks=chunks)
    for window in WINDOWS[name]:
        result = function(lazy, window, mode=mode, cval=5.0)
        assert isinstance(result, da.Array)
        assert (result.dtype, result.shape, result.chunks) == (image.dtype, image.shape, lazy.chunks)
        computed = result.compute(scheduler="synchronous")
        assert type(computed) is np.ndarray
        np.testing.assert_array_equal(computed, function(image, window, mode=mode, cval=5.0))


@pytest.mark.parametrize("name", FILTERS)
def test_nothing_is_computed_before_it_is_asked_for(name: str) -> None:
    touched = []

    def block(block_info=None):
        touched.append(1)
        return np.ones((5, 5), np.uint8)

    lazy = da.map_blocks(block, chunks=((5, 5), (5, 5)), dtype=np.uint8, meta=np.empty((0, 0), np.uint8))
    result = public(name)(lazy)
    assert touched == []
    np.testing.assert_array_equal(result.compute(scheduler="synchronous"), np.ones((10, 10), np.uint8))
    assert touched


@pytest.mark.parametrize("name", BORDERED)
def test_volumes_channels_and_axes(name: str) -> None:
    function, image = public(name), picture("uint16", (4, 9, 3))
    lazy = da.from_array(image, chunks=(3, 2, 2))
    window = WINDOWS[name][1]
    for keywords in ({}, {"channel_axis": -1}, {"axes": (0, 2)}, {"axes": 1, "mode": "wrap"}, {"channel_axis": 0}):
        result = function(lazy, window, **keywords).compute(scheduler="synchronous")
        np.testing.assert_array_equal(result, function(image, window, **keywords))


@pytest.mark.parametrize("name", FILTERS)
def test_not_a_number_keeps_to_its_windows_across_chunks(name: str) -> None:
    function, image = public(name), picture("float32")
    image[10, 12] = np.nan
    lazy = da.from_array(image, chunks=(4, 5))
    for policy in ("propagate", "omit"):
        result = function(lazy, nan_policy=policy).compute(scheduler="synchronous")
        np.testing.assert_array_equal(result, function(image, nan_policy=policy))


@pytest.mark.parametrize("name", FILTERS)
def test_not_a_number_raises_when_it_is_computed(name: str) -> None:
    function, image = public(name), picture("float32")
    image[10, 12] = np.nan
    result = function(da.from_array(image, chunks=(4, 5)), nan_policy="raise")
    with pytest.raises(ValueError, match=r"^image contains NaN"):
        result.compute(scheduler="synchronous")


@pytest.mark.parametrize("name", FILTERS)
def test_masks_are_chunked_with_the_image(name: str) -> None:
    function, image = public(name), picture("float32")
    where = image > 0
    expected = function(image, where=where)
    lazy = da.from_array(image, chunks=(5, 6))
    for mask in (da.from_array(where, chunks=(5, 6)), da.from_array(where, chunks=(21, 4))):
        result = function(lazy, where=mask).compute(scheduler="synchronous")
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", FILTERS)
def test_threads_of_dask_are_bit_equal(name: str) -> None:
    function, image = public(name), picture("uint8", (120, 130))
    result = function(da.from_array(image, chunks=(17, 23)), 2).compute(scheduler="threads", num_workers=8)
    np.testing.assert_array_equal(result, function(image, 2))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("keywords", "argument"),
    [
        ({"mode": "edge"}, "mode"),
        ({"axes": 5}, "axes"),
        ({"channel_axis": 3}, "channel_axis"),
        ({"out": np.zeros((21, 26), np.float32)}, "out"),
        ({"where": np.ones((21, 26), bool)}, "where"),
        ({"nan_policy": "ignore"}, "nan_policy"),
        ({"cval": 1j}, "cval"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_values_are_refused_at_once(name: str, keywords, argument: str) -> None:
    if name not in BORDERED and argument in ("mode", "cval"):
        return
    with pytest.raises((TypeError, ValueError), match=rf"^{argument} "):
        public(name)(da.from_array(picture("float32"), chunks=(5, 6)), **keywords)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", [np.complex64, object, "M8[s]"])
def test_bad_dtypes_are_refused_at_once(name: str, dtype) -> None:
    with pytest.raises(TypeError, match=r"^image "):
        public(name)(da.zeros((9, 9), dtype=dtype, chunks=3))


@pytest.mark.parametrize("name", FILTERS)
def test_empty_arrays_are_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match=r"^image "):
        public(name)(da.zeros((0, 9), dtype=np.uint8, chunks=3))


@pytest.mark.parametrize("name", FILTERS)
def test_unknown_chunk_sizes_are_refused(name: str) -> None:
    image = da.from_array(np.arange(20.0), chunks=5)
    with pytest.raises(ValueError, match=r"^image "):
        public(name)(image[image > 3])
