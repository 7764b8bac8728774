"""``python -m benches.bm3d_plot RUN.json``: a picture of PSNR over time, from a run of the suite bm3d, for the README."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benches import peers
from benches.report import Report
from benches.rows import OURS, Row
from benches.suites.bm3d import CASES, OWN_NL_MEANS

PAPER, INK, SOFT, RULE = (255, 255, 255), (24, 26, 30), (96, 102, 112), (226, 229, 234)
#: Who is drawn, in which colour and under what name. Names of single points are those of the parameters.
COLOURS = {
    OURS: ((196, 62, 28), "imrestore bm3d"),
    peers.BM3D: ((30, 92, 170), "package bm3d"),
    OWN_NL_MEANS: ((224, 150, 40), "imrestore nl_means"),
    peers.OPENCV_NL_MEANS: ((70, 140, 70), "OpenCV nl_means, uint8"),
    peers.WAVELETS: ((130, 90, 160), "scikit-image wavelets, 1 thread"),
}
ONE_STAGE = "1 stage"
SIZE = (1240, 620)
LEFT, TOP, RIGHT, BOTTOM = 80, 70, 30, 60
RADIUS = 7


class Point(NamedTuple):
    who: str
    label: str
    seconds: float
    decibels: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.bm3d_plot", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN.json", help="from python -m benches --suite bm3d")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/bm3d.png"), metavar="PNG", help="docs/bm3d.png")
    options = parser.parse_args(argv)
    report = Report.from_file(options.run)
    found = points(report.rows)
    if not found:
        parser.error(f"{options.run} holds no grey rows of the suite bm3d")
    title = f"512 x 512 pixels, noise of 25 in 255; {report.metadata['cpu'].split(',')[0]}, {report.metadata['threads']} threads"
    draw(found, title).save(options.out, optimize=True)
    return 0


def points(rows: Sequence[Row]) -> list[Point]:
    """Of the grey picture: ours and the package's by parameters, others once, from the first row that has them."""
    grey = {case.parameters for case in CASES if case.picture == "grey"}
    found: dict[tuple[str, str], Point] = {}
    for row in rows:
        if row.suite != "bm3d" or row.parameters not in grey:
            continue
        for name, timing in {OURS: row.ours, **row.peers}.items():
            by_parameters = name in (OURS, peers.BM3D)
            if by_parameters and row.dtype != "float32":
                continue
            label = row.parameters if by_parameters else ""
            found.setdefault((name, label), Point(name, label, timing.median, row.decibels[name]))
    return sorted(found.values(), key=lambda point: point.seconds)


class Axes(NamedTuple):
    """Ranges: decades of seconds and decibels."""

    low: float
    high: float
    bottom: float
    top: float

    @classmethod
    def around(cls, found: Sequence[Point]) -> Axes:
        seconds, decibels = [point.seconds for point in found], [point.decibels for point in found]
        low, high = math.log10(min(seconds)) - 0.2, math.log10(max(seconds)) + 0.3
        return cls(low, high, math.floor(min(decibels) - 0.2), math.ceil(max(decibels) + 0.2))

    def at(self, seconds: float, decibels: float) -> tuple[float, float]:
        width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        across = (math.log10(seconds) - self.low) / (self.high - self.low)
        up = (decibels - self.bottom) / (self.top - self.bottom)
        return LEFT + across * width, SIZE[1] - BOTTOM - up * height


def draw(found: Sequence[Point], title: str) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(canvas)
    heading, small = ImageFont.load_default(20), ImageFont.load_default(16)
    axes = Axes.around(found)
    _rules(pen, axes, small)
    pen.text((LEFT, 24), title, INK, heading)
    for who, (colour, name) in COLOURS.items():
        own = [point for point in found if point.who == who]
        places = [axes.at(point.seconds, point.decibels) for point in own]
        profiles = [place for place, point in zip(places, own, strict=True) if ONE_STAGE not in point.label]
        if len(profiles) > 1:
            pen.line(profiles, colour, 2)
        for (x, y), point in zip(places, own, strict=True):
            pen.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), colour)
            if ONE_STAGE in point.label:
                pen.text((x, y + RADIUS + 4), ONE_STAGE, colour, small, anchor="mt")
            else:
                pen.text((x, y - RADIUS - 4), point.label, colour, small, anchor="mb")
        if own:
            # Below all points and their labels; what begins at the left edge would not fit in the middle.
            x, y = places[len(own) // 2][0], max(y for _, y in places) + RADIUS + (30 if len(own) > 1 else 8)
            pen.text((x, y), name, colour, heading, anchor="mt" if x > 3 * LEFT else "lt")
    return canvas.quantize(64, dither=Image.Dither.NONE)


def _rules(pen: Any, axes: Axes, font: Any) -> None:
    """A line for every decibel and for 1, 2 and 5 of every decade."""
    right, bottom = SIZE[0] - RIGHT, SIZE[1] - BOTTOM
    for decibels in range(int(axes.bottom), int(axes.top) + 1):
        _, y = axes.at(1.0, decibels)
        pen.line((LEFT, y, right, y), RULE)
        pen.text((LEFT - 10, y), f"{decibels} dB", SOFT, font, anchor="rm")
    for decade in range(math.floor(axes.low), math.ceil(axes.high)):
        for digit in (1, 2, 5):
            seconds = digit * 10.0**decade
            if not axes.low <= math.log10(seconds) <= axes.high:
                continue
            x, _ = axes.at(seconds, axes.bottom)
            pen.line((x, TOP, x, bottom), RULE)
            text = f"{seconds:g} s" if seconds >= 1 else f"{1e3 * seconds:g} ms"
            pen.text((x, bottom + 10), text, SOFT, font, anchor="mt")


if __name__ == "__main__":
    sys.exit(main())
