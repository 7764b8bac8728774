"""Steps that damage or vary an image."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore._checks.values import integer, is_masked_array, is_sequence, one_of, positive, shown
from imrestore.degrade._distributions import Choice
from imrestore.degrade._numbers import plain
from imrestore.degrade._plan import Batch, Draw
from imrestore.degrade._seed import sample_numbers, seed_of
from imrestore.degrade._values import check_value


class Step:
    """Something that is done to images, with parameters that never change.

    Steps are frozen dataclasses: equal if their parameters are, printable, hashable, and safe to share between threads and
    processes. A parameter is a number, a range ``(low, high)`` or a distribution; every sample of a batch draws its own number.
    """

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        check = cls.__dict__.get("__post_init__")
        if check is not None:
            cls.__post_init__ = _made_plain(check)  # type: ignore[attr-defined]

    @property
    def span(self) -> int:
        """How many numbers the step takes of those that tell the steps of a chain apart."""
        return 1

    def check_images(self, draw: Draw) -> None:
        """Refuse images that it cannot be done to, whether it will be drawn or not."""

    def plan(self, draw: Draw) -> None:
        """Draw the parameters of all samples and say what is to be done."""
        raise NotImplementedError

    def __str__(self) -> str:
        """The call that makes the step, without what is left at its default."""
        return f"{type(self).__name__}({', '.join(said(self))})"

    def __call__(
        self,
        image: Any,
        target: Any = None,
        mask: Any = None,
        *,
        rng: Any = None,
        index: Any = 0,
        channel_axis: int | None = None,
        batch_axis: int | None = None,
        data_range: float | None = None,
    ) -> Any:
        """Do this to an image or to a batch of images.

        Parameters
        ----------
        image : array
            An image (height, width), with `channel_axis` also (height, width, channels) or any other order; a batch of images
            of one size with `batch_axis`. Without either, four axes are a batch (n, channels, height, width). Integers, float16,
            float32 or float64; NumPy, CuPy or torch. It is not changed.
        target : array, optional
            What a network is to make of the image: same kind, shape and axes. Steps that move pixels, and those that mix samples,
            do the same to it; all others leave it alone.
        mask : array, optional
            Labels of the pixels, also True and False: same kind, with the image's axis of channels or without. Steps that move
            pixels do the same to it, by nearest neighbours.
        rng : int or numpy.random.Generator, optional
            Seed, a whole number from 0 to 2**64 - 1, or a generator that one is drawn from (as in SPEC 7). None: a new one.
        index : int or sequence of int, default: 0
            Number of the sample: sample i of a seed is always the same, alone or in any batch. Sample k of a batch has number
            ``index + k``, or ``index[k]``.
        channel_axis, batch_axis : int, optional
            Axes of the channels and of the samples.
        data_range : float, optional
            Value of white, for steps that need to know; black is 0. By default the largest number of an integer dtype, and 1 for
            floats: say it for signed integers, which rarely use all of their range.

        Returns
        -------
        array, or tuple of arrays
            As `image`: kind, device, dtype and order of axes; the size may differ. Integers are rounded half to even and saturated,
            once, at the end; floats are not clipped. With `target` or `mask` a tuple: image, target, mask (those that were given).

        Raises
        ------
        TypeError
            If an argument is of a type that cannot be meant, or of another kind or on another device than `image`.
        ValueError
            If an argument is out of range, or the samples of a batch end with different sizes.
        """
        options = {"rng": rng, "index": index, "channel_axis": channel_axis, "batch_axis": batch_axis, "data_range": data_range}
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():  # nothing of this is torch's to trace
            return torch.compiler.disable(self._do)(image, target, mask, options)
        return self._do(image, target, mask, options)

    def _do(self, image: Any, target: Any, mask: Any, options: dict[str, Any]) -> Any:
        """The call itself, which torch does not trace."""
        for name, array in (("image", image), ("target", target), ("mask", mask)):
            if array is not None and is_masked_array(array):
                raise TypeError(f"{name} is a numpy.ma.MaskedArray; pass {name}.data or {name}.filled(..)")
        with np.errstate(over="ignore"):  # what is too large for the dtype becomes infinite
            return _applied()(self, image, target, mask, **options)

    def draw(
        self, shape: Sequence[int], *, rng: Any = None, index: Any = 0, count: int | None = None, data_range: float = 1.0
    ) -> list[Any]:
        """What would be done to samples, without doing it.

        Parameters
        ----------
        shape : sequence of int
            Height and width, or channels, height and width, of a sample.
        rng, index : optional
            As for a call.
        count : int, optional
            Samples of a batch, 1 to 2**24; by default one sample alone.
        data_range : float, default: 1.0
            Value of white.

        Returns
        -------
        list
            For one sample the pairs (name of a step, its parameters as a dict) in the order in which they are done; with `count`
            one such list for each sample. Parameters are in the units in which the step takes them.

        Examples
        --------
        >>> from imrestore.degrade import GaussianNoise
        >>> GaussianNoise((5, 5)).draw((64, 64), rng=7, index=17)
        [('GaussianNoise', {'sigma': 5.0})]
        """
        numbers = sample_numbers(index, 1 if count is None else _count(count))
        planar = _planar(shape)
        white = positive("data_range", data_range, "a finite number > 0")
        batch = Batch.of(numbers, seed_of(rng), planar, white, self.span)
        records: list[list[tuple[str, dict[str, Any]]]] = [[] for _ in numbers]
        batch.records = records
        self.plan(Draw(batch, np.arange(len(numbers)), 0))
        return records[0] if count is None else records


@cache
def _applied() -> Callable[..., Any]:
    """What does steps, imported with the first call."""
    with forks.importing:
        from imrestore.degrade._run import apply
    return apply


def _count(value: object) -> int:
    allowed = "None or a whole number from 1 to 2**24"
    count = integer("count", value, allowed)
    if not 1 <= count <= 2**24:
        raise ValueError(f"count is {shown(value)}; it must be {allowed}")
    return count


def _planar(shape: object) -> tuple[int, int, int]:
    """Channels, height and width."""
    allowed = "(height, width) or (channels, height, width), whole numbers from 1 to 2**24"
    if not is_sequence(shape):
        raise TypeError(f"shape is {shown(shape)} of type {type(shape).__name__}; it must be {allowed}")
    sides = [integer("shape", one, allowed) for one in shape]  # type: ignore[attr-defined]
    if len(sides) not in (2, 3) or not all(1 <= one <= 2**24 for one in sides):
        raise ValueError(f"shape is {shown(shape)}; it must be {allowed}")
    return (1 if len(sides) == 2 else sides[0], sides[-2], sides[-1])


def said(step: Any) -> list[str]:
    """Parameters that are not at their defaults, as they are written in a call."""
    fields = [f for f in dataclasses.fields(step) if f.name != "steps"]
    given = {f.name: value for f in fields if (value := getattr(step, f.name)) is not f.default and value != f.default}
    return [f"{name}={_array(value) or repr(value)}" for name, value in given.items()]


def _array(value: Any) -> str:
    """Numbers in tuples, named by their shape if nobody would read them; nothing for all else."""
    shape: tuple[int, ...] = ()
    while isinstance(value, tuple) and value:
        shape, value = (*shape, len(value)), value[0]
    return f"<{' x '.join(map(str, shape))} numbers>" if math.prod(shape) > 64 else ""


def _made_plain(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """A check of a step's fields, after which all numbers in them are Python's."""

    @wraps(check)
    def checked(step: Any) -> None:
        check(step)
        for one in dataclasses.fields(step):
            value = getattr(step, one.name)
            if isinstance(value, np.generic | tuple):
                object.__setattr__(step, one.name, plain(value))

    return checked


def check_fields(owner: Step, low: float, high: float, *names: str, above: bool = False, whole: bool = False) -> None:
    """Fields that are parameters between two limits."""
    for name in names:
        check_value(name, getattr(owner, name), low, high, above=above, whole=whole)


def check_option(name: str, value: object, allowed: Sequence[str]) -> None:
    """A field that is one of some names, or a `Choice` of them."""
    for one in value.values if isinstance(value, Choice) else (value,):
        one_of(name, one, allowed)
