"""The demo's pictures: the same detail, restored in different ways, with names and numbers below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from imrestore.cli._demo import Result

PAPER, INK, SOFT = (255, 255, 255), (24, 26, 30), (96, 102, 112)
MARGIN, GAP, BETWEEN = 20, 10, 16


class Cell(NamedTuple):
    """A detail of a picture and the two lines below it."""

    image: NDArray[np.uint8]
    title: str
    numbers: str


def sheet(original: NDArray[np.uint8], results: Sequence[Result]) -> Any:
    """A row per noise: the original, the noisy picture, and what the filters made of it."""
    rows = []
    for noise in dict.fromkeys(result.noise for result in results):
        cells = [Cell(original, "original", "")]
        cells += [_cell(result) for result in results if result.noise == noise and result.shown]
        rows.append((noise, cells))
    return _draw(rows, side=256)


def strip(original: NDArray[np.uint8], results: Sequence[Result]) -> Any:
    """One row for a README: each noise and its best filter, few enough colours for a small file."""
    cells = [Cell(original, "original", "")]
    for noise in dict.fromkeys(result.noise for result in results):
        noisy, *restored = (result for result in results if result.noise == noise)
        best = max(restored, key=lambda result: result.psnr)
        cells += [_cell(noisy, noise.partition(",")[0]), _cell(best)]
    return _draw([("", cells)], side=232).quantize(256, dither=0)


def _cell(result: Result, title: str | None = None) -> Cell:
    numbers = f"{result.psnr:.1f} dB, SSIM {result.ssim:.2f}"
    if result.milliseconds is not None:
        numbers += f", {result.milliseconds:.{2 if result.milliseconds < 10 else 0}f} ms"
    return Cell(result.image, title or result.method, numbers)


def _draw(rows: Sequence[tuple[str, Sequence[Cell]]], side: int) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    heading, title, small = (ImageFont.load_default(size) for size in (22, 18, 14))
    above, below = (40 if any(name for name, _ in rows) else 0), 54 + BETWEEN
    columns = max(len(cells) for _, cells in rows)
    width = 2 * MARGIN + columns * side + (columns - 1) * GAP
    height = 2 * MARGIN + len(rows) * (above + side + below) - BETWEEN
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    y = MARGIN
    for name, cells in rows:
        draw.text((MARGIN, y), name, INK, heading)
        for i, cell in enumerate(cells):
            x = MARGIN + i * (side + GAP)
            canvas.paste(Image.fromarray(detail(cell.image, side)), (x, y + above))
            draw.text((x, y + above + side + 6), cell.title, INK, title)
            draw.text((x, y + above + side + 29), cell.numbers, SOFT, small)
        y += above + side + below
    return canvas


def detail(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square of `side` pixels, unscaled: scaling would hide the noise. Small pictures are repeated pixel by pixel."""
    height, width = image.shape[:2]
    factor = max(1, -(-side // min(height, width)))
    if factor > 1:
        image = image.repeat(factor, 0).repeat(factor, 1)
        height, width = image.shape[:2]
    top, left = int(0.05 * (height - side)), int(0.45 * (width - side))
    return np.ascontiguousarray(image[top : top + side, left : left + side])
