"""Non-local means of a 512x512 picture, every dtype against OpenCV's 8-bit one; in the notes, how well both restore it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches import filters, peers
from benches.pictures import NOISE, WHITE, clean, picture
from benches.rows import Goal, Plan, Row
from benches.timing import Contender

SIDE = 512
BYTES = "OpenCV 8-bit"
PATCHES = ((7, 10),)
#: Of OpenCV's h, in standard deviations of the noise: the best is quoted.
OPENCV_H = np.arange(0.6, 2.01, 0.1)


def rows(plan: Plan) -> Iterator[Row]:
    import cv2

    bytes_ = picture("uint8", SIDE).copy()
    for patch, distance in PATCHES:
        similarity = filters.Similarity(NOISE, 0.7 * NOISE, patch, distance)
        window = 2 * distance + 1
        out = np.empty_like(bytes_)

        def eight_bit(window: int = window, patch: int = patch, out: NDArray[Any] = out) -> object:
            return cv2.fastNlMeansDenoising(bytes_, out, 1.4 * 255 * NOISE, patch, window)

        best = max(
            decibels(cv2.fastNlMeansDenoising(bytes_, None, float(255 * NOISE * h), patch, window), "uint8") for h in OPENCV_H
        )
        for dtype in ("uint8", "uint16", "float32"):
            call = filters.nl_means(similarity, dtype)
            image = picture(dtype, SIDE).copy()
            found = np.empty_like(image)
            call.ours(image, found)
            note = f"{decibels(found, dtype):.2f} dB (OpenCV at its best h {best:.2f} dB)"
            goal, also = Goal(3, BYTES), [Contender(BYTES, eight_bit)]
            if dtype == "uint8":
                goal, also = Goal(3, peers.OPENCV), []
            yield filters.measure_filter(plan, "nl_means", call, image, goal, also=also, copied=False, note=note)
        call = filters.nl_means(similarity, "float32")._replace(filter="nl_means, against scikit-image")
        yield filters.measure_filter(plan, "nl_means", call, picture("float32", SIDE), Goal(25, peers.SCIKIT_IMAGE), copied=False)


def decibels(image: NDArray[Any], dtype: str) -> float:
    """PSNR in units of white."""
    error = image / WHITE[dtype] - clean(SIDE, SIDE)
    return float(-10 * np.log10(np.mean(error**2)))
