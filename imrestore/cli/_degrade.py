"""``imrestore degrade``: synthetic damage for files, the same for a seed and a number wherever it is done."""

from __future__ import annotations

import argparse
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._parser import UsageError, check_running
from imrestore.cli._plan import plan
from imrestore.cli._report import FileResult
from imrestore.cli._run import carry_out
from imrestore.cli._step_text import step_of
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, Page

#: Pages of one file lie this far apart among the samples of a seed: more than files have names.
BETWEEN_PAGES = 1 << 32


def degrade(args: argparse.Namespace) -> int:
    """Carry out ``imrestore degrade`` and return the exit code."""
    try:
        check_running(args)
    except (TypeError, ValueError) as error:
        raise UsageError(of_options(error)) from error
    if args.gallery:
        from imrestore.cli import _gallery

        return _gallery.gallery(args)
    _check_together(args)
    step, parameters = _step(args)
    jobs = plan(args.inputs, args.out, in_place=args.in_place, recursive=args.recursive)
    damage = Damage(step, args.seed, args.index, args.data_range, args.channel_axis)
    return carry_out(args, parameters | damage.parameters(), damage, jobs, Limits(args.max_pixels, args.max_ratio))


def _check_together(args: argparse.Namespace) -> None:
    """Options that only make sense with others, or within limits."""
    if not args.inputs:
        raise UsageError("the following arguments are required: IN")
    if args.chain is None and args.step is None:
        raise UsageError("give --chain, --step or --gallery")
    for given, name, other in ((args.scale, "--scale", args.chain), (args.white, "--white", args.step)):
        if given is not None and other is None:
            raise UsageError(f"{name} goes with {'--chain' if name == '--scale' else '--step'}")
    if args.image is not None:
        raise UsageError("--image goes with --gallery")
    for name, value in (("seed", args.seed), ("index", args.index)):
        if value is not None and not 0 <= value < 2**64:
            raise UsageError(f"--{name} is {value}; it must be a whole number from 0 to 2**64 - 1")


def _step(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """What is to be done, and how it was asked for."""
    from imrestore import degrade
    from imrestore.degrade import Chain

    if args.chain is None:
        white = 255.0 if args.white is None else args.white
        try:
            return Chain([step_of(text) for text in args.step], white=white), {"step": args.step, "white": white}
        except ValueError as error:
            raise UsageError(of_options(error)) from error
    scale = 4 if args.scale is None else args.scale
    try:
        return getattr(degrade, args.chain)(scale), {"chain": args.chain, "scale": scale}
    except ValueError as error:
        raise UsageError(of_options(error)) from error


class Damage:
    """A step with a seed, done to one file after the other."""

    command = "degrade"

    def __init__(
        self, step: Any, seed: int | None, index: int, data_range: float | None, channel_axis: int | str | None
    ) -> None:
        self.step, self.index, self.data_range, self.channel_axis = step, index, data_range, channel_axis
        # A new seed has 32 bits: programs that read JSON lose digits of longer ones.
        self.seed = secrets.randbelow(2**32) if seed is None else seed
        self.seconds = 0.0
        self.hear: Callable[[float], object] | None = None
        self.begin(0)

    def parameters(self) -> dict[str, Any]:
        """What makes the damage the same another time."""
        own = {"seed": self.seed, "index": self.index, "data_range": self.data_range, "channel_axis": self.channel_axis}
        return {name: value for name, value in own.items() if value is not None}

    def begin(self, number: int) -> None:
        """The pages to come are those of this file of the list."""
        self.sample = (self.index + number) % 2**64
        self.drawn: list[list[tuple[str, dict[str, Any]]]] = []
        self.notes: list[str] = []

    def pages(self, pages: Iterable[Page], kind: str) -> Iterator[Page]:
        """The damaged pages, each a sample of its own."""
        for number, page in enumerate(pages):
            yield self._page(page, kind, (self.sample + number * BETWEEN_PAGES) % 2**64)

    def tell(self, result: FileResult) -> None:
        """Report what was drawn."""
        result.draw = [[{"step": name, "parameters": _plain(drawn)} for name, drawn in page] for page in self.drawn]
        steps = ", ".join(f"{name}({_written(drawn)})" for name, drawn in self.drawn[0]) or "nothing"
        more = " on page 0 (--json has the other pages)" if len(self.drawn) > 1 else ""
        result.notes += [f"sample {self.sample} of seed {self.seed}{more}: {steps}", *self.notes]

    def _page(self, page: Page, kind: str, index: int) -> Page:
        pixels, axis, alpha = page.pixels, page.channel_axis, page.alpha
        if pixels.dtype == np.bool_ and kind != "npy":
            pixels = pixels.astype(np.uint8) * 255
        if self.channel_axis != "auto":  # the user knows the axes: no channel is special
            axis, alpha = self.channel_axis, ()  # type: ignore[assignment]
        if pixels.ndim != 2 + (axis is not None):
            raise FileError(f"image has {pixels.ndim} axes; there must be a height, a width and with --channel-axis channels")
        options = {"rng": self.seed, "index": index, "channel_axis": axis, "data_range": self._white(pixels.dtype)}
        start = time.perf_counter()
        damaged = self._damaged(pixels, axis, alpha, options)
        self.seconds += time.perf_counter() - start
        return replace(page, pixels=damaged)

    def _white(self, dtype: np.dtype[Any]) -> float:
        if self.data_range is not None:
            return self.data_range
        if dtype.kind in "if":
            raise FileError(f"--data-range is not given; for images of dtype {dtype} it must be the value of white")
        return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0

    def _damaged(self, pixels: NDArray[Any], axis: int | None, alpha: tuple[int, ...], options: dict[str, Any]) -> NDArray[Any]:
        if axis is None or not alpha:
            damaged: NDArray[Any] = self.step(pixels, **options)
            self._draw(pixels.shape, axis, options)
            return damaged
        number = axis % pixels.ndim
        colours = [i for i in range(pixels.shape[number]) if i not in alpha]
        image, veil = pixels.take(colours, number), pixels.take(alpha, number)
        try:
            # A target goes where its pixels go, and is left alone otherwise.
            image, veil = self.step(image, veil, **options)
        except ValueError as error:
            raise FileError(str(error).replace("target", "alpha", 1)) from error
        self._draw(pixels.take(colours, number).shape, axis, options)
        size = [n for i, n in enumerate(image.shape) if i != number]
        if size != [n for i, n in enumerate(veil.shape) if i != number]:
            from imrestore.degrade import Resize

            # Linear weights: a cubic would overshoot, and put a rim around everything that is cut out.
            veil = Resize(size=size, method="bilinear")(veil, channel_axis=number)
            note = f"alpha was resized to {size[0]} x {size[1]} with the image, and not damaged"
            self.notes += [note] if note not in self.notes else []
        whole = np.empty([pixels.shape[number] if i == number else n for i, n in enumerate(image.shape)], pixels.dtype)
        for part, places in ((image, colours), (veil, alpha)):
            np.moveaxis(whole, number, 0)[list(places)] = np.moveaxis(part, number, 0)
        return whole

    def _draw(self, shape: tuple[int, ...], axis: int | None, options: dict[str, Any]) -> None:
        planes = shape if axis is None else (shape[axis], *(n for i, n in enumerate(shape) if i != axis % len(shape)))
        sample = {name: options[name] for name in ("rng", "index", "data_range")}
        self.drawn.append(self.step.draw(planes, **sample))


def _written(drawn: dict[str, Any]) -> str:
    """Parameters as a person writes them, four digits of each."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(text, value))}]" if len(value) <= 8 else f"[{len(value)} values]"
        return str(value)

    return ", ".join(f"{name}={text(value)}" for name, value in drawn.items())


def _plain(value: Any) -> Any:
    """As strict JSON can hold it: NumPy's numbers become Python's, NaN and infinities words."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
