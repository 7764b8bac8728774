"""Steps that damage or vary an image, and chains of them."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore._checks.values import flag, integer, is_sequence, one_of, positive, real, shown
from imrestore.degrade._distributions import Choice, chances, pick
from imrestore.degrade._plan import Batch, Draw
from imrestore.degrade._seed import sample_numbers, seed_of
from imrestore.degrade._values import check_value


class Step:
    """Something that is done to images, with parameters that never change.

    Steps are frozen dataclasses: equal if their parameters are, printable, hashable, and safe to share between threads and
    processes. A parameter is a number, a range ``(low, high)`` or a distribution; every sample of a batch draws its own number.
    """

    @property
    def span(self) -> int:
        """How many numbers the step takes of those that tell the steps of a chain apart."""
        return 1

    def plan(self, draw: Draw) -> None:
        """Draw the parameters of all samples and say what is to be done."""
        raise NotImplementedError

    def __str__(self) -> str:
        """The call that makes the step, without what is left at its default."""
        return f"{type(self).__name__}({', '.join(_said(self))})"

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
            Value of white, for steps that need to know; black is 0. By default the largest number of an unsigned integer dtype,
            and 1 for floats.

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
        with forks.importing:
            from imrestore.degrade._run import apply

        return apply(
            self, image, target, mask, rng=rng, index=index, channel_axis=channel_axis, batch_axis=batch_axis, data_range=data_range
        )

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
            Samples of a batch; by default one sample alone.
        data_range : float, default: 1.0
            Value of white.

        Returns
        -------
        list
            For one sample the pairs (name of a step, its parameters as a dict) in the order in which they are done; with `count`
            one such list for each sample.

        Examples
        --------
        >>> from imrestore.degrade import GaussianNoise
        >>> GaussianNoise((5, 5)).draw((64, 64), rng=7, index=17)
        [('GaussianNoise', {'sigma': 5.0})]
        """
        numbers = sample_numbers(index, 1 if count is None else count)
        planar = (1, *shape) if len(shape) == 2 else tuple(shape)
        if len(planar) != 3 or min(planar) < 1:
            raise ValueError(f"shape is {shown(shape)}; it must be (height, width) or (channels, height, width)")
        white = positive("data_range", data_range, "a finite number > 0")
        batch = Batch.of(numbers, seed_of(rng), (planar[0], planar[1], planar[2]), white, self.span)
        batch.recording = True
        self.plan(Draw(batch, np.arange(len(numbers)), 0))
        return batch.records[0] if count is None else batch.records


def _said(step: Any) -> list[str]:
    """Parameters that are not at their defaults, as they are written in a call."""
    fields = [f for f in dataclasses.fields(step) if f.name != "steps"]
    return [f"{f.name}={value!r}" for f in fields if (value := getattr(step, f.name)) is not f.default and value != f.default]


def check_fields(owner: Step, low: float, high: float, *names: str, above: bool = False, whole: bool = False) -> None:
    """Fields that are parameters between two limits."""
    for name in names:
        value = check_value(name, getattr(owner, name), low, high, above=above, whole=whole)
        object.__setattr__(owner, name, value)


def check_option(name: str, value: object, allowed: Sequence[str]) -> None:
    """A field that is one of some names, or a `Choice` of them."""
    for one in value.values if isinstance(value, Choice) else (value,):
        one_of(name, one, allowed)


def steps_of(name: str, steps: object) -> tuple[Step, ...]:
    """A sequence of steps."""
    if not is_sequence(steps):
        raise TypeError(f"{name} is {shown(steps)} of type {type(steps).__name__}; it must be a sequence of steps")
    found: tuple[Any, ...] = tuple(steps)  # type: ignore[arg-type]
    for one in found:
        if not isinstance(one, Step):
            raise TypeError(f"{name} holds {shown(one)} of type {type(one).__name__}; it must hold steps, as GaussianNoise(25)")
    return found


class _Several(Step):
    """Steps in one, printed one below the other."""

    steps: tuple[Step, ...]

    @cached_property
    def span(self) -> int:
        return 1 + sum(step.span for step in self.steps)

    @cached_property
    def _offsets(self) -> list[int]:
        """By how much the number of each step is above that of this one."""
        return [1, *(1 + int(n) for n in np.cumsum([step.span for step in self.steps]))][:-1]

    def _numbered(self, draw: Draw) -> list[tuple[Step, int]]:
        """The steps and their numbers, in order."""
        return [(one, draw.step + offset) for one, offset in zip(self.steps, self._offsets, strict=True)]

    def __str__(self) -> str:
        rest = [f"    {item}" for item in _said(self)]
        inner = ",\n".join([*(textwrap.indent(str(one), "    ") for one in self.steps), *rest])
        return f"{type(self).__name__}(\n{inner},\n)"


@dataclass(frozen=True, init=False)
class Chain(_Several):
    """Steps one after the other.

    Between the steps values stay floats; they are rounded to the image's dtype once, at the end.

    Parameters
    ----------
    steps : sequence of steps
        In the order in which they are done. Chains may hold chains.
    white : float, optional
        The amplitudes in the steps (sigma of noise, thresholds, levels) are meant for images with this value of white and are
        scaled to that of each image. Without it they are in the image's own units, as everywhere in imrestore. A chain with
        255 does the same to uint8 images and to floats from 0 to 1.
    start : bool, default: False
        Whether sizes that are multiples of those at the start (`Resize` with ``of='start'``) count from here, also where this chain
        is part of another; otherwise they count from where that other begins.

    Raises
    ------
    TypeError
        If `steps` is no sequence of steps.
    ValueError
        If `white` is not above 0.

    Examples
    --------
    >>> import numpy, imrestore
    >>> from imrestore.degrade import Chain, GaussianBlur, GaussianNoise
    >>> chain = Chain([GaussianBlur((0.5, 2)), GaussianNoise((5, 25))], white=255)
    >>> image = numpy.zeros((16, 16), numpy.float32)
    >>> bool((chain(image, rng=7, index=3) == chain(image, rng=7, index=3)).all())
    True
    """

    steps: tuple[Step, ...]
    white: float | None = None
    start: bool = False

    def __init__(self, steps: Sequence[Step], white: float | None = None, start: bool = False) -> None:
        object.__setattr__(self, "steps", steps_of("steps", steps))
        object.__setattr__(self, "start", flag("start", start))
        object.__setattr__(self, "white", None if white is None else positive("white", white, "None or a finite number > 0"))

    def plan(self, draw: Draw) -> None:
        unit = draw.unit if self.white is None else draw.white / self.white
        inner = draw.inside(unit, self.start)
        for one, number in self._numbered(draw):
            one.plan(inner.at(number))


@dataclass(frozen=True, init=False)
class Shuffled(_Several):
    """Steps in an order that every sample draws for itself, all orders as likely.

    Parameters
    ----------
    steps : sequence of steps
        What is done, each once.
    keep : sequence of int, optional
        Positions in `steps` of those that come in the order given here, at the places that they have drawn.

    Raises
    ------
    TypeError
        If `steps` is no sequence of steps, or `keep` no sequence of whole numbers.
    ValueError
        If `keep` names a position that there is not, or one twice.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Shuffled, SpeckleNoise
    >>> steps = Shuffled([GaussianNoise(5), SpeckleNoise(0.1)])
    >>> [name for name, _ in steps.draw((8, 8), rng=1)] in (["GaussianNoise", "SpeckleNoise"], ["SpeckleNoise", "GaussianNoise"])
    True
    """

    steps: tuple[Step, ...]
    keep: tuple[int, ...] = ()

    def __init__(self, steps: Sequence[Step], keep: Sequence[int] = ()) -> None:
        object.__setattr__(self, "steps", steps_of("steps", steps))
        allowed = f"different whole numbers from 0 to {len(self.steps) - 1}"
        if not is_sequence(keep):
            raise TypeError(f"keep is {shown(keep)} of type {type(keep).__name__}; it must be a sequence of {allowed}")
        numbers = tuple(integer("keep", one, allowed) for one in keep)
        if len(set(numbers)) != len(numbers) or not all(0 <= one < len(self.steps) for one in numbers):
            raise ValueError(f"keep is {shown(keep)}; it must be {allowed}")
        object.__setattr__(self, "keep", numbers)

    def plan(self, draw: Draw) -> None:
        numbered = self._numbered(draw)
        keys = draw.uniforms(len(numbered)).copy()
        kept = list(self.keep)
        keys[:, kept] = np.sort(keys[:, kept], axis=1)
        order = np.argsort(keys, axis=1, kind="stable")
        for place in range(len(numbered)):
            for which, (one, number) in enumerate(numbered):
                chosen = order[:, place] == which
                if chosen.any():
                    one.plan(draw.at(number, draw.ids[chosen]))


@dataclass(frozen=True, init=False)
class OneOf(_Several):
    """One of some steps, which every sample draws for itself.

    Parameters
    ----------
    steps : sequence of steps
        What there is to choose from.
    p : sequence of float, optional
        Their chances, which add up to 1; by default all are as likely.

    Raises
    ------
    TypeError
        If `steps` is no sequence of steps.
    ValueError
        If `p` are no chances, or not as many as steps.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, OneOf, SpeckleNoise
    >>> OneOf([GaussianNoise(5), SpeckleNoise(0.1)], p=[1, 0]).draw((8, 8), rng=1)
    [('GaussianNoise', {'sigma': 5.0})]
    """

    steps: tuple[Step, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, steps: Sequence[Step], p: Sequence[float] | None = None) -> None:
        object.__setattr__(self, "steps", steps_of("steps", steps))
        if not self.steps:
            raise ValueError("steps is empty; there must be at least one")
        object.__setattr__(self, "p", None if p is None else chances("p", p, len(self.steps)))

    def plan(self, draw: Draw) -> None:
        picked = pick(draw.uniforms()[:, 0], len(self.steps), self.p)
        for which, (one, number) in enumerate(self._numbered(draw)):
            chosen = picked == which
            if chosen.any():
                one.plan(draw.at(number, draw.ids[chosen]))


@dataclass(frozen=True, init=False)
class Maybe(_Several):
    """Steps that are done with some chance, which every sample draws for itself.

    Parameters
    ----------
    steps : step or sequence of steps
        What is done: all of them or none.
    p : float, default: 0.5
        Its chance, 0 to 1.

    Raises
    ------
    TypeError
        If `steps` is no step and no sequence of steps.
    ValueError
        If `p` is no chance.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Maybe
    >>> Maybe(GaussianNoise(5), p=0).draw((8, 8), rng=1)
    []
    """

    steps: tuple[Step, ...]
    p: float = 0.5

    def __init__(self, steps: Step | Sequence[Step], p: float = 0.5) -> None:
        object.__setattr__(self, "steps", steps_of("steps", (steps,) if isinstance(steps, Step) else steps))
        number = real("p", p, "a number from 0 to 1")
        if not 0 <= number <= 1:
            raise ValueError(f"p is {shown(p)}; it must be a number from 0 to 1")
        object.__setattr__(self, "p", number)

    def plan(self, draw: Draw) -> None:
        chosen = draw.uniforms()[:, 0] < self.p
        if chosen.any():
            for one, number in self._numbered(draw):
                one.plan(draw.at(number, draw.ids[chosen]))

