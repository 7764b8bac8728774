"""``imrestore demo``: damage a photograph, restore it with every filter there is, compare."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._parser import UsageError
from imrestore.cli._report import say
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, new_file, printable, read

Image = NDArray[np.uint8]
RUNS = 50
SEED = 2026


class Noise(NamedTuple):
    """A kind of damage: its name in the table and how it is done."""

    name: str
    add: Callable[[Image, np.random.Generator], Image]


class Method(NamedTuple):
    """A way to restore; `shown` methods are in the picture, all are in the table."""

    name: str
    restore: Callable[[Image], Image]
    shown: bool = True


class Result(NamedTuple):
    """One line of the table."""

    noise: str
    method: str
    psnr: float
    ssim: float
    milliseconds: float | None
    image: Image
    shown: bool = True


def demo(out: str, image: Path | None, threads: int | None) -> int:
    """Print a table of PSNR, SSIM and time; write ``demo.png`` and a one-row ``strip.png``."""
    import imrestore
    from imrestore import _checks
    from imrestore.cli import _demo_picture

    try:
        count = imrestore.get_num_threads() if threads is None else _checks.thread_count(threads, "threads")
        original, name = photograph(image)
    except (FileError, ValueError) as error:
        raise UsageError(of_options(error)) from error
    kind = "colour" if original.ndim == 3 else "grey"
    with imrestore.threads(count):
        size = f"{original.shape[1]} x {original.shape[0]}"
        say(f"{name}, {size}, 8-bit {kind}, {count} threads\n", sys.stdout)
        results = compare(original)
    print(table(results))
    for title, draw in (("demo.png", _demo_picture.sheet), ("strip.png", _demo_picture.strip)):
        path = Path(out, title)
        try:
            with new_file(path, replace=True) as file:
                draw(original, results).save(file, "PNG", optimize=True)
        except OSError as error:
            raise UsageError(f"cannot write {printable(path)}: {error.strerror or error}") from error
        label = "side by side:" if title == "demo.png" else "one row:"
        say(f"{label:<13} {printable(path.resolve())}", sys.stdout)
    return 0


def noises() -> list[Noise]:
    """Thermal noise as in a dark exposure, and dead or hot pixels."""

    def gaussian(image: Image, rng: np.random.Generator) -> Image:
        return np.clip(np.rint(image + rng.normal(0, 25, image.shape)), 0, 255).astype(np.uint8)

    def salt_and_pepper(image: Image, rng: np.random.Generator) -> Image:
        dice = rng.random(image.shape[:2])
        noisy = image.copy()
        noisy[dice < 0.05] = 0
        noisy[dice > 0.95] = 255
        return noisy

    return [Noise("Gaussian noise, sigma 25", gaussian), Noise("salt and pepper, 10 %", salt_and_pepper)]


def methods(colour: bool) -> list[Method]:
    """Every filter of the package with parameters that suit these noises. A new filter adds its lines here."""
    import imrestore

    axis = -1 if colour else None
    return [
        Method("mean 3", lambda image: imrestore.mean(image, 3, channel_axis=axis)),
        Method("mean 5", lambda image: imrestore.mean(image, 5, channel_axis=axis), shown=False),
        Method("gaussian 1", lambda image: imrestore.gaussian(image, 1.0, channel_axis=axis)),
        Method("gaussian 1.5", lambda image: imrestore.gaussian(image, 1.5, channel_axis=axis), shown=False),
        Method("median 3", lambda image: imrestore.median(image, 3, channel_axis=axis)),
        Method("median 5", lambda image: imrestore.median(image, 5, channel_axis=axis)),
        Method("guided", lambda image: imrestore.guided(image, radius=2, eps=2500, channel_axis=axis)),
        Method("bilateral", lambda image: imrestore.bilateral(image, 75, 2, channel_axis=axis)),
        Method("nl_means", lambda image: imrestore.nl_means(image, channel_axis=axis)),
        Method("bm3d fast", lambda image: imrestore.bm3d(image, profile="fast", channel_axis=axis), shown=False),
        Method("bm3d", lambda image: imrestore.bm3d(image, channel_axis=axis)),
    ]


def compare(original: Image) -> list[Result]:
    """Damage, restore and measure; the first call of each filter compiles it and is not timed."""
    rng = np.random.default_rng(SEED)
    results = []
    for noise in noises():
        noisy = noise.add(original, rng)
        results.append(Result(noise.name, "noisy", *_quality(original, noisy), None, noisy))
        for method in methods(original.ndim == 3):
            restored = method.restore(noisy)
            quality, took = _quality(original, restored), _milliseconds(method, noisy)
            results.append(Result(noise.name, method.name, *quality, took, restored, method.shown))
    return results


def _milliseconds(method: Method, noisy: Image) -> float:
    """Median of RUNS calls, or of as many as a quarter of a second allows; of three at least, unless they take half a second."""
    times: list[float] = []
    while len(times) < RUNS and sum(times) < (0.5 if len(times) < 3 else 0.25):
        start = time.perf_counter()
        method.restore(noisy)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def _quality(original: Image, image: Image) -> tuple[float, float]:
    """PSNR in decibels and the mean structural similarity (Wang et al. 2004)."""
    from imrestore import metrics

    axis = -1 if original.ndim == 3 else None
    return metrics.psnr(image, original), metrics.ssim(image, original, channel_axis=axis)


def table(results: list[Result]) -> str:
    """The results as text, a block per noise, the best value of each column marked."""
    lines = [f"{'noise':<26}{'method':<14}{'PSNR dB':>9}{'SSIM':>9}{'ms':>9}"]
    for noise in dict.fromkeys(result.noise for result in results):
        block = [result for result in results if result.noise == noise]
        best_psnr, best_ssim = max(r.psnr for r in block), max(r.ssim for r in block)
        for i, r in enumerate(block):
            psnr = f"{r.psnr:.2f}{'*' if r.psnr == best_psnr else ' '}"
            ssim = f"{r.ssim:.3f}{'*' if r.ssim == best_ssim else ' '}"
            took = "" if r.milliseconds is None else f"{r.milliseconds:.2f}"
            lines.append(f"{noise if i == 0 else '':<26}{r.method:<14}{psnr:>10}{ssim:>9}{took:>8}".rstrip())
        lines.append("")
    lines += [f"* best of its block. Times: median of up to {RUNS} calls, the first one not counted.", ""]
    return "\n".join(lines)


def photograph(path: Path | None) -> tuple[Image, str]:
    """8-bit grey or RGB: the user's, or one that scikit-image carries (NASA, public domain)."""
    if path is None:
        from skimage import data

        return data.astronaut(), "astronaut (scikit-image)"
    try:
        with read(path, Limits()) as (_, pages):
            page = next(pages)
    except FileError as error:
        raise FileError(f"{printable(path)}: {error}") from error
    pixels: NDArray[Any] = page.channels_last()
    if pixels.dtype not in (np.uint8, np.uint16) or page.colour not in ("gray", "rgb") or min(pixels.shape[:2]) < 16:
        raise FileError(f"{printable(path)}: the photograph must be 8- or 16-bit grey or RGB of at least 16 x 16 pixels")
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if page.colour == "gray" else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels), printable(path.name)
    darkest, brightest = int(pixels.min()), int(pixels.max())
    # Cameras write 12 bits in 16: divided by 256 they would be black. A flat picture has no range of its own.
    low, high = (darkest, brightest) if darkest < brightest else (0, 65535)
    levels = np.rint((pixels - np.float64(low)) * (255 / (high - low)))
    return levels.astype(np.uint8), f"{printable(path.name)}, {low} to {high} made 0 to 255"
