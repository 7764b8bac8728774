"""Images that are measured, or changed sample by sample: no border, no kernel order, and memory of one block at a time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from imrestore import _checks, _dispatch

#: Samples looked at together: on the CPU a block stays in the cache, on a GPU it is worth a launch.
_BLOCK = {False: 1 << 18, True: 1 << 26}


class Measured(NamedTuple):
    """An image that is looked at and not written: a view of its samples, and of the mask that leaves some out."""

    given: Any
    kind: str
    device: str
    array: Any
    where: Any  # bool in the image's shape, or None

    @property
    def xp(self) -> Any:
        """Namespace the array belongs to, NumPy or CuPy."""
        return _dispatch.namespace(self.device != "cpu")

    def current(self) -> contextlib.AbstractContextManager[Any]:
        """Makes the image's device and stream current."""
        return _dispatch.on_device(self.given, self.kind, self.device)

    def channel(self, axis: int | None, index: int) -> Measured:
        """One channel of the image; all of it where there are none."""
        if axis is None:
            return self
        at = (slice(None),) * axis + (index,)
        return self._replace(array=self.array[at], where=None if self.where is None else self.where[at])


def open_measured(image: Any, *, where: Any) -> Measured:
    """Check an image of numbers and its mask, and open both without a copy."""
    kind = _dispatch.library(image)
    if kind == _dispatch.DASK:
        raise TypeError(
            "image is a dask array and an estimate is a number now; pass image.compute(), or a part that fits the memory, "
            "for example image[:4096, :4096].compute()"
        )
    device = _dispatch.device_of(image, kind)
    array = _opened(image, kind, device, "image")
    _dispatch.check_same_kind("where", where, image, kind, device)
    opened = Measured(image, kind, device, array, None)
    if where is None:
        return opened
    with opened.current():
        return opened._replace(where=_dispatch.broadcast_where(where, array, kind, device))


def _opened(image: Any, kind: str, device: str, name: str) -> Any:
    array = _dispatch.as_array(image, kind, device, name)
    _checks.image_dtype(np.dtype(array.dtype), "iuf", name)
    _checks.image_shape(tuple(array.shape), name)
    return array


def blocks(shape: tuple[int, ...], on_cuda: bool) -> Iterator[tuple[slice, ...]]:
    """Index of one block after the other: slices of the first axis that is long enough to be cut that small."""
    samples, total = _BLOCK[on_cuda], math.prod(shape)
    longest = max(range(len(shape)), key=shape.__getitem__)
    axis = next((a for a, n in enumerate(shape) if n * samples >= total), longest)
    step = max(1, samples * shape[axis] // total)
    for start in range(0, shape[axis], step):
        yield (slice(None),) * axis + (slice(start, start + step),)


def any_sample(image: Measured, test: Callable[[Any], Any]) -> bool:
    """Whether the test, an elementwise function of an array, is true for a sample that takes part."""
    for block in blocks(image.array.shape, image.device != "cpu"):
        found = test(image.array[block])
        if image.where is not None:
            found = found & image.where[block]
        if bool(found.any()):
            return True
    return False


def lost_to_nan(image: Measured, policy: str) -> bool:
    """Whether samples that are not finite leave nothing to measure; NaN is an error under 'raise', and no matter under 'omit'."""
    if image.array.dtype.kind != "f":
        return False
    xp = image.xp
    if policy == "raise":
        _checks.no_nan("image", any_sample(image, xp.isnan))
    return any_sample(image, xp.isinf if policy == "omit" else lambda block: ~xp.isfinite(block))


class SampleMap(Protocol):
    """A function of samples, written twice: a kernel for the CPU, and a formula for CuPy."""

    def run(self, src: Any, dst: Any) -> None:
        """One axis, C-contiguous, native, not float16; ``dst`` holds what samples are computed in and may be ``src``."""

    def formula(self, xp: Any, samples: Any) -> Any:
        """Of a block of samples, which it may change, with the functions of ``xp``."""


def map_samples(function: SampleMap, image: Any, name: str, out: Any) -> Any:
    """``function`` of every sample of an image, as the caller's own kind.

    Float images keep their dtype and everything is computed in it, but float16 in float32; integers of 8 and 16 bits
    become float32, wider ones float64.
    """
    kind = _dispatch.library(image)
    device = _dispatch.device_of(image, kind)
    array = _opened(image, kind, device, name)
    dtype = result_dtype(np.dtype(array.dtype))
    working = np.promote_types(dtype.newbyteorder("="), np.float32)
    if out is not None:
        _dispatch.check_same_kind("out", out, image, kind, device)
        _dispatch.check_out(out, image, array, kind, device, dtype)
    opened = Measured(image, kind, device, array, None)
    with opened.current(), np.errstate(all="ignore"):
        xp = opened.xp
        if out is None:
            result, target = _dispatch.new_array(image, kind, device, array.shape, dtype)
        else:
            result, target = out, _dispatch.as_array(out, kind, device, "out")
            if xp.may_share_memory(target, array) and not _same_samples(target, array):
                array = array.copy()
        if device == "cpu":
            _run_on_cpu(function, array, target, working)
        else:
            for block in blocks(array.shape, on_cuda=True):
                target[block] = function.formula(xp, array[block].astype(working))
    return result


def _run_on_cpu(function: SampleMap, array: Any, target: Any, working: np.dtype[Any]) -> None:
    """All at once where both arrays lie in memory as kernels want them, else block by block through copies that do."""
    native = array.dtype.newbyteorder("=")
    read = working if native == np.float16 else native
    if array.flags.c_contiguous and array.dtype == read and target.flags.c_contiguous and target.dtype == working:
        function.run(array.reshape(-1), target.reshape(-1))
        return
    for block in blocks(array.shape, on_cuda=False):
        src = np.ascontiguousarray(array[block], read)
        dst = np.empty(src.shape, working)
        function.run(src.reshape(-1), dst.reshape(-1))
        target[block] = dst


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A float that holds the image's samples: its own, or for integers float32 (up to 16 bits) or float64."""
    if dtype.kind == "f":
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)


def _same_samples(a: Any, b: Any) -> bool:
    """Whether two arrays of one shape have every sample at the same place."""
    first = [array.__array_interface__ if isinstance(array, np.ndarray) else array.__cuda_array_interface__ for array in (a, b)]
    return bool(first[0]["data"][0] == first[1]["data"][0] and a.strides == b.strides and a.dtype == b.dtype)
