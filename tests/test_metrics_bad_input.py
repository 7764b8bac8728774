"""What metrics refuse, and that they say what and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imrestore.metrics import ms_ssim, mse, psnr, ssim
from tests.cases.metrics import pair

A, B = pair((20, 24))
RGB = pair((20, 24, 3))
FLOAT = pair((20, 24), "float32")
NAN, INF = float("nan"), float("inf")

BAD_PAIRS: list[tuple[Any, Any, type[Exception], str]] = [
    (None, A, TypeError, "image"),
    (A, None, TypeError, "reference"),
    ("a.png", A, TypeError, "image"),
    (A, {1: 2}, TypeError, "reference"),
    (A, object(), TypeError, "reference"),
    (A.astype(bool), A, TypeError, "image has dtype bool"),
    (A, A.astype(complex), TypeError, "reference has dtype complex128"),
    (A.astype(np.longdouble), A, TypeError, "image"),
    (A, np.ma.masked_array(A), TypeError, "reference is a numpy.ma.MaskedArray"),
    (A.view(np.matrix), A, TypeError, "image is a numpy.matrix"),
    (A, [[1, 2], [3]], TypeError, "reference"),
    (np.uint8(3), np.uint8(3), ValueError, "image has no axes"),
    (A[:0], A[:0], ValueError, r"image has the shape \(0, 24\)"),
    (A, A[:10], ValueError, r"reference has the shape \(10, 24\); it must have image's, \(20, 24\)"),
    (A, A.T, ValueError, "reference has the shape"),
    (A, torch.from_numpy(A), TypeError, "reference is a torch.Tensor on cpu and image a numpy.ndarray on cpu"),
    (torch.from_numpy(A), A, TypeError, "reference is a numpy.ndarray on cpu and image a torch.Tensor on cpu"),
    (torch.from_numpy(A), None, TypeError, "reference"),
    (torch.from_numpy(FLOAT[0]).requires_grad_(), torch.from_numpy(FLOAT[0]), ValueError, "image requires grad"),
    (torch.from_numpy(A).to("meta"), torch.from_numpy(A).to("meta"), TypeError, "image is on device meta"),
]


@pytest.mark.parametrize(("image", "reference", "error", "text"), BAD_PAIRS)
def test_bad_pairs(image: Any, reference: Any, error: type[Exception], text: str) -> None:
    for metric in (mse, psnr, ssim, ms_ssim):
        options = {} if metric is mse else {"data_range": 255}
        with pytest.raises(error, match=f"^{text}"):
            metric(image, reference, **options)


def test_dask_arrays_have_to_be_computed() -> None:
    import dask.array as da

    lazy = da.from_array(A)
    with pytest.raises(TypeError, match=r"^image is a dask array"):
        psnr(lazy, lazy)
    with pytest.raises(TypeError, match=r"^reference is a dask"):
        psnr(A, lazy)


BAD_FOR_ALL: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"data_range": value}, ValueError) for value in (0, -1, NAN, INF, -INF, 10**400)),
    *(({"data_range": value}, TypeError) for value in ("255", True, [255], 1j)),
    ({"protocol": "grey"}, ValueError), ({"protocol": 3}, TypeError), ({"protocol": "rgb"}, ValueError),
    ({"protocol": "gray", "data_range": 1}, ValueError),
    *(({"crop": value}, ValueError) for value in (-1, 10, 12, 10**30)),
    *(({"crop": value}, TypeError) for value in (1.0, "1", None, True, (1, 1))),
    ({"crop": 2, "protocol": "gray"}, ValueError), ({"crop": 0, "protocol": "y-sr"}, ValueError),
    *(({"channel_axis": value}, ValueError) for value in (2, -3, 10**30)),
    *(({"channel_axis": value}, TypeError) for value in (0.0, "0", True, (0,))),
]  # fmt: skip
BAD_FOR_SSIM: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"size": value}, ValueError) for value in (0, 2, 10, -3, 103, 10**30)),
    *(({"size": value}, TypeError) for value in (11.0, "11", None, True, (11, 11))),
    *(({name: value}, ValueError) for name in ("sigma", "k1", "k2") for value in (0, -1, NAN, INF)),
    *(({name: value}, TypeError) for name in ("sigma", "k1", "k2") for value in ("1", None, True, [1.5])),
]
BAD_POLICIES: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"nan_policy": "skip"}, ValueError), ({"nan_policy": None}, TypeError),
    ({"where": np.ones((20, 24))}, TypeError), ({"where": np.ones((3, 20), bool)}, ValueError),
    ({"where": torch.ones(20, 24, dtype=torch.bool)}, TypeError), ({"where": "all"}, TypeError),
]  # fmt: skip
BAD_WEIGHTS: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"weights": value}, ValueError) for value in ((), (0,), (0, 0.0), (1, -1), (NAN,), (INF, 1), (1,) * 17)),
    *(({"weights": value}, TypeError) for value in (1.0, "12345", None, (1, "2"), {1: 2})),
]
WRONG = [
    *((metric, *bad) for metric in (psnr, ssim, ms_ssim) for bad in BAD_FOR_ALL),
    *((metric, *bad) for metric in (ssim, ms_ssim) for bad in BAD_FOR_SSIM),
    *((metric, *bad) for metric in (mse, psnr, ssim) for bad in BAD_POLICIES),
    *((ms_ssim, *bad) for bad in BAD_WEIGHTS),
    *((ssim, {"full": value}, TypeError) for value in (1, None, "yes")),
]


@pytest.mark.parametrize("metric", [mse, psnr, ssim, ms_ssim])
def test_wrong_arguments_are_named(metric: Any) -> None:
    for options, error in (bad for function, *bad in WRONG if function is metric):
        with pytest.raises(error, match=rf"^({'|'.join(options)})\b.* must "):
            metric(A, B, **options)


def test_floats_need_a_range() -> None:
    for metric in (psnr, ssim, ms_ssim):
        for images in (FLOAT, [array.astype(np.int32) for array in FLOAT]):
            with pytest.raises(ValueError, match=r"^data_range is None; for images of dtype (float|int)32 it must be a finite"):
                metric(*images)
        with pytest.raises(ValueError, match=r"^data_range is None; for an image of dtype float32 .* 255"):
            metric(*FLOAT, protocol="gray")


def test_protocols_need_the_right_axes() -> None:
    with pytest.raises(ValueError, match=r"^protocol is 'gray' and channel_axis is given"):
        psnr(*RGB, protocol="gray", channel_axis=-1)
    with pytest.raises(ValueError, match=r"^protocol is 'rgb' and channel_axis is None"):
        psnr(*RGB, protocol="rgb")
    for protocol in ("rgb", "y-sr"):
        with pytest.raises(ValueError, match=f"^protocol is '{protocol}' and the image has 24 channels"):
            psnr(*RGB, protocol=protocol, channel_axis=1)


def test_images_that_no_window_fits_into() -> None:
    for shape, axis, text in (
        ((10, 30), None, "image has 10 x 30 pixels to compare; for a window of 11 pixels each axis must have at least 11"),
        ((30, 10, 3), 2, "image has 30 x 10 pixels"),
        ((11, 11, 10), None, "image has 11 x 11 x 10 pixels"),
        ((40,), None, "image has 1 axes beside channel_axis; there must be 2 or 3"),
        ((11, 11, 11, 11), None, "image has 4 axes"),
        ((40, 3), 1, "image has 1 axes"),
    ):
        image = np.zeros(shape, np.uint8)
        with pytest.raises(ValueError, match=f"^{text}"):
            ssim(image, image, channel_axis=axis)
