"""From an array of the caller's to a batch of samples, through a plan, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from imrestore_kernels import forks
from imrestore_kernels.samples import Job, Work

from imrestore import _checks, _dispatch
from imrestore._checks.images import axis_number
from imrestore._checks.values import positive, shown
from imrestore.degrade._launches import IMAGE, MASK, TARGET, Launch
from imrestore.degrade._plan import Batch, Draw
from imrestore.degrade._seed import sample_numbers, seed_of
from imrestore.degrade._torch_memory import own_memory

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Axes:
    """Which axis of an array is what; the two others are height and width, in this order."""

    ndim: int
    batch: int | None
    channel: int | None

    @classmethod
    def of(cls, ndim: int, batch_axis: object, channel_axis: object, name: str = "image") -> Axes:
        """As the caller says, or by the number of axes where there is but one way to read them."""
        if batch_axis is None and channel_axis is None and ndim == 4:
            return cls(4, 0, 1)
        batch = None if batch_axis is None else axis_number("batch_axis", batch_axis, ndim, optional=True)
        channel = _checks.axis_of_channels(channel_axis, ndim)
        if batch is not None and batch == channel:
            raise ValueError(f"batch_axis and channel_axis are both {shown(channel_axis)}; they must be different axes")
        rest = ndim - (batch is not None) - (channel is not None)
        if rest != 2:
            advice = "name batch_axis or channel_axis" if rest > 2 else "there must be a height and a width"
            raise ValueError(f"{name} has {ndim} axes, {rest} of them beside batch_axis and channel_axis; {advice}")
        return cls(ndim, batch, channel)

    @property
    def order(self) -> tuple[int, ...]:
        """The array's axes in the order samples, channels, height, width, as far as it has them."""
        return _order(self.ndim, self.batch, self.channel)

    def samples(self, array: Any) -> Any:
        """A view (n, channels, height, width)."""
        view = array.transpose(self.order)
        if self.channel is None:
            view = view[None] if self.batch is None else view[:, None]
        return view[None] if self.batch is None else view

    def shape(self, count: int, channels: int, height: int, width: int) -> tuple[int, ...]:
        """Of an array with so many of each."""
        if self.channel is None and channels != 1:
            raise ValueError(f"the result has {channels} channels and channel_axis is None; it must name an axis")
        given = [*([count] if self.batch is not None else []), *([channels] if self.channel is not None else []), height, width]
        shape = [0] * self.ndim
        for axis, n in zip(self.order, given, strict=True):
            shape[axis] = n
        return tuple(shape)


@dataclass
class Part:
    """One of the arrays of a call: the image, its target or its mask."""

    role: str
    given: Any
    kind: str
    device: str
    array: Any
    axes: Axes
    source: Any  # (n, channels, height, width)

    def work(self, launches: Sequence[Launch]) -> list[Work]:
        """What is to be done to this one, with its own channels."""
        found = []
        for launch in launches:
            if self.role not in launch.roles:
                continue
            ids, jobs, numbers, results = launch.arrays()
            if self.role != IMAGE:
                jobs = jobs.copy()
                jobs[:, Job.CHANNELS] = results = np.full(len(ids), self.source.shape[1], np.int64)
                for column, value in launch.for_masks.items() if self.role == MASK else ():
                    jobs[:, column] = value
            op = launch.operation
            found.append(Work(op.stem, op.name, ids, jobs, numbers, op.in_place, op.crosses, op.backward, results))
        if self.role != IMAGE:
            self._check_sizes(found)
        return found

    def _check_sizes(self, work: Sequence[Work]) -> None:
        """A companion must have the size that the image has when a step moves the pixels of both."""
        size = np.tile(np.array(self.source.shape[2:], np.int64), (len(self.source), 1))
        for one in work:
            if (size[one.ids] != one.jobs[:, [Job.HEIGHT, Job.WIDTH]]).any():
                raise ValueError(
                    f"{self.role} has {' x '.join(map(str, size[one.ids[0]]))} pixels where the image has "
                    f"{' x '.join(map(str, one.jobs[0, [Job.HEIGHT, Job.WIDTH]]))}; steps that move pixels must come before "
                    "those that change the size of the image alone"
                )
            size[one.ids] = one.jobs[:, [Job.OUT_HEIGHT, Job.OUT_WIDTH]]

    def result_shape(self, work: Sequence[Work]) -> tuple[int, int, int, int]:
        """(n, channels, height, width) of the results, which must be the same for all samples."""
        count, channels, height, width = self.source.shape
        if count == 1 and self.role == IMAGE:
            last = work[-1].jobs[0, Job.OUT_HEIGHT : Job.SEED].tolist() if work else (height, width)
            return (1, int(work[-1].out_channels[0]) if work else channels, *last)
        shapes = np.tile(np.array([channels, height, width], np.int64), (count, 1))
        for one in work:
            shapes[one.ids, 0] = one.out_channels
            shapes[one.ids, 1:] = one.jobs[:, [Job.OUT_HEIGHT, Job.OUT_WIDTH]]
        if (shapes != shapes[0]).any():
            other = int(np.argmax((shapes != shapes[0]).any(axis=1)))
            raise ValueError(
                f"samples 0 and {other} of the batch end as {_times(shapes[0])} and {_times(shapes[other])}; it must end "
                "with a step that gives all the same shape, such as Resize(size=..) or Crop(..)"
            )
        return (count, *(int(n) for n in shapes[0]))


@lru_cache(maxsize=256)
def _order(ndim: int, batch: int | None, channel: int | None) -> tuple[int, ...]:
    rest = [a for a in range(ndim) if a not in (batch, channel)]
    return tuple(a for a in (batch, channel) if a is not None) + tuple(rest)


@lru_cache(maxsize=256)
def _known_axes(ndim: int, batch_axis: int | None, channel_axis: int | None, name: str) -> Axes:
    """Made and checked once: a data loader asks for the same ones again and again."""
    return Axes.of(ndim, batch_axis, channel_axis, name)


def _axes(ndim: int, batch_axis: Any, channel_axis: Any, name: str) -> Axes:
    plain = all(axis is None or type(axis) is int for axis in (batch_axis, channel_axis))
    return (_known_axes if plain else Axes.of)(ndim, batch_axis, channel_axis, name)


def _times(shape: Any) -> str:
    return " x ".join(str(int(n)) for n in shape)


def apply(
    step: Any, image: Any, target: Any, mask: Any, *, rng: Any, index: Any, channel_axis: Any, batch_axis: Any, data_range: Any
) -> Any:
    """Do a step to an image and its companions."""
    kind = _dispatch.library(image)
    if kind == _dispatch.DASK:
        raise TypeError("image is a dask array; it must be an array in memory, as image.compute()")
    device = _dispatch.device_of(image, kind)
    parts = [_open(IMAGE, image, kind, device, batch_axis, channel_axis)]
    first = parts[0]
    for role, other in ((TARGET, target), (MASK, mask)):
        if other is not None:
            parts.append(_companion(role, other, first, image, channel_axis, batch_axis))
    with _dispatch.on_device(image, kind, device), own_memory(kind, device):
        shape = first.source.shape
        numbers = sample_numbers(index, shape[0])
        batch = Batch.of(numbers, seed_of(rng), shape[1:], _white(data_range, np.dtype(first.array.dtype)), step.span)
        batch.parameters = ring(device).parameters
        step.plan(Draw(batch, np.arange(shape[0]), 0))
        table = batch.table()
        results = tuple(_carry_out(part, batch.launches, table) for part in parts)
    return results[0] if len(results) == 1 else results


def _open(role: str, value: Any, kind: str, device: str, batch_axis: Any, channel_axis: Any) -> Part:
    """An array in the order of samples, with no look at its values."""
    free = value.detach() if kind == _dispatch.TORCH else value
    array = _dispatch.as_array(free, kind, device, role)
    _checks.image_dtype(np.dtype(array.dtype), "biuf" if role == MASK else "iuf", role)
    _checks.image_shape(tuple(array.shape), role)
    axes = _axes(array.ndim, batch_axis, channel_axis, role)
    return Part(role, value, kind, device, array, axes, axes.samples(array))


def _companion(role: str, other: Any, first: Part, image: Any, channel_axis: Any, batch_axis: Any) -> Part:
    _dispatch.check_same_kind(role, other, image, first.kind, first.device)
    if role == MASK and first.axes.channel is not None and np.ndim(other) == first.axes.ndim - 1:
        batch, channel = first.axes.batch, first.axes.channel  # labels have no channels
        part = _open(role, other, first.kind, first.device, None if batch is None else batch - (batch > channel), None)
    else:
        part = _open(role, other, first.kind, first.device, batch_axis, channel_axis)
    wanted, found = first.source.shape, part.source.shape
    if role == MASK and part.array.dtype.kind in "iu" and part.array.dtype.itemsize == 8:
        _check_labels(part.array)
    if (found[0], *found[2:]) != (wanted[0], *wanted[2:]):
        raise ValueError(
            f"{role} has {found[0]} samples of {found[2]} x {found[3]} pixels; it must have image's, "
            f"{wanted[0]} of {wanted[2]} x {wanted[3]}"
        )
    return part


def _check_labels(array: Any) -> None:
    """Labels move as float64, which holds whole numbers up to 2**53."""
    if int(array.max()) > 2**53 or int(array.min()) < -(2**53):
        raise ValueError("mask has labels beyond 2**53; they must be within, as numpy.unique(mask, return_inverse=True)[1]")


def _white(data_range: Any, dtype: np.dtype[Any]) -> float:
    """Value of white."""
    if data_range is not None:
        return positive("data_range", data_range, "None or a finite number > 0 in the image's units")
    return _largest(dtype)


@cache
def _largest(dtype: np.dtype[Any]) -> float:
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


@cache
def compute_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What samples are computed in: float32 where it holds them exactly."""
    wide = dtype.itemsize == 8 or (dtype.kind != "f" and dtype.itemsize > 2)
    return np.dtype(np.float64 if wide else np.float32)


def _carry_out(part: Part, launches: Sequence[Launch], table: Array) -> Any:
    work = part.work(launches)
    shape = part.result_shape(work)
    if part.kind == _dispatch.TORCH and part.given.requires_grad and __import__("torch").is_grad_enabled():
        with forks.importing:
            from imrestore.degrade._gradient import differentiable

        return differentiable(part, work, table, shape)
    return forward(part, work, table, shape, None)


def forward(
    part: Part, work: Sequence[Work], table: Array, shape: tuple[int, int, int, int], kept: dict[Any, Any] | None
) -> Any:
    """The result as an array of the caller's kind."""
    dtype = np.dtype(part.array.dtype)
    given = part.given.detach() if part.kind == _dispatch.TORCH else part.given
    made, target = _dispatch.new_array(given, part.kind, part.device, part.axes.shape(*shape), dtype.newbyteorder("="))
    if dtype.kind == "b":  # a mask: 0 and 1, and whatever lies outside the image
        levels = _dispatch.namespace(part.device != "cpu").empty(target.shape, np.uint8)
        source, result = part.source.view(np.uint8), part.axes.samples(levels)
        ring(part.device).run(source, result, work, table, np.dtype(np.float32), kept)
        target[...] = levels != 0
        return made
    ring(part.device).run(part.source, part.axes.samples(target), work, table, compute_type(dtype), kept)
    return made


def ring(device: str) -> Any:
    """What carries out plans on a device."""
    return _ring(device == "cpu")


@cache
def _ring(on_cpu: bool) -> Any:
    with forks.importing:
        if on_cpu:
            from imrestore_kernels.cpu import batches
        else:
            from imrestore_kernels.cuda import batches  # type: ignore[no-redef]
    return batches
