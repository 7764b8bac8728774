"""The filters on a GPU, float32 8192x8192: against cupyx.scipy.ndimage, cuCIM and a plain copy on the device; chains of damage.

Not part of the default suites: it needs CuPy and a CUDA device. Times are of the device's own clock as seen by a host
that synchronises after every call, and include the launch. ``copy`` reads and writes the same bytes once, so
``copy_percent`` is the share of the bandwidth that any filter could reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np

import imrestore
from benches.rows import Goal, Plan, Row, measure
from benches.timing import Contender

CUPYX, CUCIM = "cupyx", "cucim"
#: What each filter is given: a size, a sigma, or the side of the window in which 7x7 patches are compared.
SIZES = {
    "mean": (3, 5, 9, 15, 31),
    "gaussian": (1, 2, 5),
    "median": (3, 5, 7, 15, 31),
    "nl_means": (11, 21),
    "bilateral": (1, 2, 5),
}
QUICK = {"mean": (3,), "gaussian": (2,), "median": (3, 5), "nl_means": (21,), "bilateral": (2,)}

#: Relative to the CPU's result; a rank has no tolerance. Pixels are below 1 and similarities within 2e-6 of their
#: differences on either side: absolute for these.
TOLERANCE = {"mean": 2e-6, "gaussian": 2e-6, "median": 0.0, "nl_means": 0.0, "bilateral": 0.0}
ABSOLUTE = {"nl_means": 4e-6, "bilateral": 4e-6}

#: Images of 256x256x3 in a batch of damaged samples, and the seconds that one may take on an H200.
BATCH, SAMPLE_GOAL = 256, 1 / 5000

#: Seconds a megapixel, of 7x7 patches in 21x21 windows on an H200.
NL_MEANS_GOAL = 1e-3


def ours(name: str, image: Any, parameter: int, **out: Any) -> Any:
    if name == "nl_means":
        return imrestore.nl_means(image, 0.1, h=0.3, patch_size=7, patch_distance=parameter // 2, **out)
    if name == "bilateral":
        return imrestore.bilateral(image, 0.3, parameter, **out)
    return getattr(imrestore, name)(image, parameter, **out)


def rows(plan: Plan) -> Iterator[Row]:
    import cupy

    side = 2048 if plan.quick else 8192
    host = np.random.default_rng(0).random((side, side), np.float32)
    image, out = cupy.asarray(host), cupy.empty((side, side), np.float32)
    for name, parameters in (QUICK if plan.quick else SIZES).items():
        for parameter in parameters:
            yield row(plan, cupy, name, parameter, image, out)
    for name in ("real_esrgan", "bsrgan"):
        yield chain_row(plan, cupy, name)


def chain_row(plan: Plan, cupy: Any, name: str) -> Row:
    """A published chain of damage, other samples in every call; planning them on the host is part of the time."""
    from imrestore import degrade

    chain = getattr(degrade, name)(4)
    host = np.random.default_rng(0).random((BATCH, 3, 256, 256), np.float32)
    images, few = cupy.asarray(host), slice(0, 8)
    equal = bool((chain(images[few], rng=1).get() == chain(host[few], rng=1)).all())
    calls = count()
    timed = measure(
        plan,
        synchronized(cupy, lambda: chain(images, rng=1, index=BATCH * next(calls))),
        [],
        suite="cuda",
        filter=name,
        parameters=f"256 to 64, batches of {BATCH}",
        dtype="float32",
        shape=host.shape,
        equal=equal,
        goal=Goal(SAMPLE_GOAL * BATCH) if name == "real_esrgan" else None,
    )
    return replace(timed, note=f"{BATCH / timed.ours.median:.0f} samples/s, {graphics_card(cupy, images)}")


def graphics_card(cupy: Any, image: Any) -> str:
    name: str = cupy.cuda.runtime.getDeviceProperties(image.device.id)["name"].decode()
    return name


def row(plan: Plan, cupy: Any, name: str, parameter: int, image: Any, out: Any) -> Row:
    excerpt = image[:512, :512].copy()
    expected, found = ours(name, excerpt.get(), parameter), ours(name, excerpt, parameter).get()
    equal = bool(np.allclose(found, expected, rtol=TOLERANCE[name], atol=ABSOLUTE.get(name, 0)))
    sized = {"gaussian": "sigma {0}", "bilateral": "sigma {0}", "nl_means": "7x7 in {0}x{0}"}
    return measure(
        plan,
        synchronized(cupy, lambda: ours(name, image, parameter, out=out)),
        [Contender(peer, synchronized(cupy, call)) for peer, call in peers(name, parameter, image, out).items()],
        copy=synchronized(cupy, lambda: cupy.copyto(out, image)),
        suite="cuda",
        filter=name,
        parameters=sized.get(name, "{0}x{0}").format(parameter),
        dtype="float32",
        shape=tuple(image.shape),
        equal=equal,
        goal=Goal(NL_MEANS_GOAL * image.size / 1e6) if name == "nl_means" and parameter == 21 else None,
        note=graphics_card(cupy, image),
    )


def synchronized(cupy: Any, call: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        call()
        cupy.cuda.get_current_stream().synchronize()

    return run


def peers(name: str, parameter: int, image: Any, out: Any) -> dict[str, Callable[[], object]]:
    """Those of the same definition that are installed; neither has non-local means or a bilateral filter."""
    if name in ABSOLUTE:
        return {}
    from cupyx.scipy import ndimage

    cupyx: dict[str, Callable[[], object]] = {
        "mean": lambda: ndimage.uniform_filter(image, parameter, output=out),
        "gaussian": lambda: ndimage.gaussian_filter(image, parameter, output=out),
        "median": lambda: ndimage.median_filter(image, parameter, output=out),
    }
    found = {CUPYX: cupyx[name]}
    if find_spec("cucim") is not None and name != "mean":
        from cucim.skimage import filters

        cucim: dict[str, Callable[[], object]] = {
            "gaussian": lambda: filters.gaussian(image, parameter, mode="reflect", preserve_range=True),
            "median": lambda: filters.median(image, np.ones((parameter, parameter), bool)),
        }
        found[CUCIM] = cucim[name]
    return found
