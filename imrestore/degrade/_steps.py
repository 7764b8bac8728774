"""Steps made of steps: chains, and those that draw which of theirs are done, or in which order."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imrestore._checks.values import flag, integer, is_sequence, positive, shown
from imrestore.degrade._launches import Numbers
from imrestore.degrade._numbers import chances, pick, probability
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, said


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

    @property
    def span(self) -> int:
        return self._offsets[-1]

    @property
    def _offsets(self) -> list[int]:
        """By how much the number of each step is above that of this one, and of what follows all of them."""
        known: list[int] | None = self.__dict__.get("_counted")  # functools.cached_property has a lock, which a fork may copy
        if known is None:
            known = [1]
            for one in self.steps:
                known.append(known[-1] + one.span)
            object.__setattr__(self, "_counted", known)
        return known

    def check_images(self, draw: Draw) -> None:
        for one in self._particular:
            one.check_images(draw)

    @property
    def _particular(self) -> tuple[Step, ...]:
        """Steps inside, however deep, that look at images before they are drawn."""
        known: tuple[Step, ...] | None = self.__dict__.get("_lookers")
        if known is None:
            inside = [one._particular if isinstance(one, _Several) else (one,) for one in self.steps]
            known = tuple(one for some in inside for one in some if type(one).check_images is not Step.check_images)
            object.__setattr__(self, "_lookers", known)
        return known

    def _numbered(self, draw: Draw) -> list[tuple[Step, int]]:
        """The steps and their numbers, in order; all of them can be done."""
        self.check_images(draw)
        return [(one, draw.step + offset) for one, offset in zip(self.steps, self._offsets[:-1], strict=True)]

    def __str__(self) -> str:
        inner = "".join(f"\n{textwrap.indent(str(one), '    ')}," for one in self.steps) + "\n" * bool(self.steps)
        return f"{type(self).__name__}([{inner}]{', '.join(['', *said(self)])})"


def _plan_each(draw: Draw, numbered: Sequence[tuple[Step, int]], picked: Numbers) -> None:
    """Plan for every sample the step that it has picked, first to last."""
    for which in sorted(set(picked.tolist())):  # most have been picked by nobody, if samples are few
        one, number = numbered[which]
        one.plan(draw.at(number, draw.ids if len(picked) == 1 else draw.ids[picked == which]))


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
            _plan_each(draw, numbered, order[:, place])


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
        _plan_each(draw, self._numbered(draw), picked)


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
        object.__setattr__(self, "p", probability("p", p))

    def plan(self, draw: Draw) -> None:
        chosen, numbered = draw.uniforms()[:, 0] < self.p, self._numbered(draw)
        if chosen.any():
            for one, number in numbered:
                one.plan(draw.at(number, draw.ids[chosen]))

