"""A contact sheet: groups of tiles below each other, each tile with a name and the rest of its call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._demo_picture import BETWEEN, GAP, INK, MARGIN, PAPER, SOFT

COLUMNS = 8
#: Heights of a group's heading and of a line of text, in pixels.
HEADING, LINE = 30, 15
#: What is around a picture that does not fill its tile.
EMPTY = (232, 234, 238)
#: Colours of a sheet, and how often they are moved to the means of their pixels: median cut alone finds no dark greens for a mosaic
#: (its error falls from 33 grey levels to 12) and makes a larger file. Pillow's own `kmeans` has no end on some pictures.
COLOURS, ROUNDS = 160, 6


class Tile(NamedTuple):
    """A picture, no larger than a tile, with its name and the rest of its call, which may take several lines."""

    name: str
    rest: str
    image: NDArray[np.uint8]


class Group(NamedTuple):
    """Tiles below a heading."""

    heading: str
    tiles: list[Tile]


def contact_sheet(title: str, groups: Sequence[Group], side: int) -> Any:
    """The whole sheet as a picture of Pillow's, of few colours."""
    from PIL import Image, ImageDraw, ImageFont

    large, medium, small = (ImageFont.load_default(size) for size in (20, 17, 12))
    width = 2 * MARGIN + COLUMNS * side + (COLUMNS - 1) * GAP
    rows = _rows(groups)
    texts = [[[tile.name, *_lines(tile.rest, small, side)] for tile, _ in row] for row in rows]
    heights = [HEADING + side + 4 + LINE * max(map(len, lines)) + BETWEEN for lines in texts]
    canvas = Image.new("RGB", (width, 2 * MARGIN + 2 * LINE + sum(heights)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, INK, large)
    y = MARGIN + 2 * LINE
    for row, lines, height in zip(rows, texts, heights, strict=True):
        for column, (tile, heading) in enumerate(row):
            x, top = MARGIN + column * (side + GAP), y + HEADING
            draw.text((x, y), heading, INK, medium)
            canvas.paste(Image.fromarray(_fitted(tile.image, side)), (x, top))
            for number, line in enumerate(lines[column]):
                draw.text((x, top + side + 4 + LINE * number), line, SOFT if number else INK, small)
        y += height
    return _few_colours(canvas)


def _rows(groups: Sequence[Group]) -> list[list[tuple[Tile, str]]]:
    """Tiles, and the heading above the first of each group; a group shares a row with the one before where it fits."""
    rows: list[list[tuple[Tile, str]]] = []
    for group in groups:
        titled = [(tile, "" if number else group.heading) for number, tile in enumerate(group.tiles)]
        if rows and len(rows[-1]) + len(titled) <= COLUMNS:
            rows[-1] += titled
        else:
            rows += [titled[first : first + COLUMNS] for first in range(0, len(titled), COLUMNS)]
    return rows


def _fitted(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """All of a picture in the middle of a tile, each pixel as many times as there is room for."""
    factor = side // max(image.shape[:2])
    large = image.repeat(factor, 0).repeat(factor, 1)
    tile = np.full((side, side, 3), EMPTY, np.uint8)
    top, left = ((side - n) // 2 for n in large.shape[:2])
    tile[top : top + large.shape[0], left : left + large.shape[1]] = large
    return tile


def _lines(text: str, font: Any, width: int) -> list[str]:
    """Text in lines of a width, broken at blanks."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _few_colours(picture: Any) -> Any:
    """The picture with a palette, for a small file: median cut, and then Lloyd's iteration."""
    from PIL import Image

    pixels = np.asarray(picture).reshape(-1, 3)
    found = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    for _ in range(ROUNDS):
        nearest = np.asarray(found).ravel()
        count = np.maximum(np.bincount(nearest, minlength=COLOURS), 1)
        means = np.stack([np.bincount(nearest, pixels[:, c], COLOURS) / count for c in range(3)], axis=1)
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.rint(means).astype(np.uint8).tobytes())
        found = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    return found
