"""Synthetic damage and augmentation: published chains and single steps, in milliseconds a sample, with samples a second.

Everyone has one thread, and then all cores: ours takes a batch of images then, torch its own threads, and chains that make one
sample at a time run in as many processes, like the workers of a data loader, which keep their results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches import damage, expected
from benches.pipelines import augmentation, bsrgan, real_esrgan
from benches.rows import OURS, Goal, Plan, Row, measure
from benches.throughput import Task, limited, measure_samples
from benches.timing import Contender

Array = NDArray[Any]

SUITE, SEED, BATCH = "degrade", 20261122, 16
PUBLISHED, TORCH, IN_BATCHES = "BSRGAN as published", "Real-ESRGAN in torch", f"{OURS} in batches"
#: What ours should save of everybody's time.
BSRGAN_GOAL = Goal(10, PUBLISHED)
ALBUMENTATIONS_GOAL = Goal(1.5, augmentation.ALBUMENTATIONS)
KORNIA_GOAL = Goal(3, augmentation.KORNIA)


class Level(NamedTuple):
    """Mean PSNR of a chain's samples to the image that area means shrink, and the standard deviation of one sample's."""

    mean: float
    deviation: float

    def holds(self, found: Sequence[float]) -> bool:
        """Half a decibel and three standard errors are allowed."""
        return abs(float(np.mean(found)) - self.mean) <= 0.5 + 3 * self.deviation / math.sqrt(len(found))


#: Of the published chains, for this photograph and hundreds of samples.
BSRGAN_LEVEL, REAL_ESRGAN_LEVEL = Level(19.3, 2.4), Level(21.2, 1.7)
#: How far means and standard deviations of augmented samples may lie from the photograph's.
TONE = 0.2


def rows(plan: Plan) -> Iterator[Row]:
    for threads in (1,) if plan.quick or plan.threads == 1 else (1, plan.threads):
        yield bsrgan_row(plan, threads)
        yield real_esrgan_row(plan, threads)
        # On all cores the chain that holds all the others.
        for chain in augmentation.CHAINS if threads == 1 else (augmentation.TRAINING,):
            for dtype in ("uint8", "float32"):
                yield albumentations_row(plan, threads, chain, dtype)
            yield kornia_row(plan, threads, chain)
    yield from (step_row(plan, case) for case in damage.cases())


def in_threads(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


# Published chains of damage


def bsrgan_row(plan: Plan, threads: int) -> Row:
    from imrestore import degrade

    count = BATCH if plan.quick else 4 * BATCH
    image, chain = damage.colours(bsrgan.SIDE), degrade.bsrgan(scale=bsrgan.SCALE)
    batches = partial(in_batches, chain, stack(image), count)
    return measure_samples(
        plan,
        threads,
        count,
        partial(one_by_one, bsrgan_maker(OURS), count) if threads == 1 else batches,
        [Contender(IN_BATCHES, batches)] if threads == 1 else [],
        {name: Task(bsrgan_maker, (name,)) for name in bsrgan.WAYS},
        filter="bsrgan",
        parameters=f"288 to 72, {in_threads(threads)}",
        goal=BSRGAN_GOAL,
        **judged({name: bsrgan_likenesses(name, count) for name in (OURS, *bsrgan.WAYS)}, BSRGAN_LEVEL, image),
    )


def bsrgan_maker(name: str) -> Callable[[int], Array]:
    """Patches by number, of us or of others."""
    image = damage.colours(bsrgan.SIDE)
    if name != OURS:
        return partial(bsrgan.WAYS[name], image)
    from imrestore import degrade

    chain = degrade.bsrgan(scale=bsrgan.SCALE)
    return lambda number: chain(image, rng=SEED, index=number, channel_axis=-1)


@cache
def bsrgan_likenesses(name: str, count: int) -> tuple[float, ...]:
    make, image = bsrgan_maker(name), damage.colours(bsrgan.SIDE)
    return tuple(likeness(make(number), image, bsrgan.PATCH) for number in range(count))


def real_esrgan_row(plan: Plan, threads: int) -> Row:
    count = BATCH if plan.quick else 8 * BATCH
    ours, others = (partial(every_batch, real_esrgan_maker(name), count) for name in (OURS, TORCH))
    # The samples of a published batch share most parameters: such a batch counts as one sample.
    found = {
        OURS: tuple(one for batch in real_esrgan_likenesses(OURS, count) for one in batch),
        TORCH: tuple(float(np.mean(batch)) for batch in real_esrgan_likenesses(TORCH, count)),
    }
    return measure_samples(
        plan,
        threads,
        count,
        ours,
        [Contender(TORCH, others)],
        {},
        filter="real_esrgan",
        parameters=f"256 to 64, batches of {BATCH}, {in_threads(threads)}",
        **judged(found, REAL_ESRGAN_LEVEL, damage.colours()),
    )


def real_esrgan_maker(name: str) -> Callable[[int], Any]:
    """Batches of tensors by the number of their first sample, of us or of others."""
    batch = tensors(damage.colours())
    if name != OURS:
        return partial(real_esrgan.degrade, batch)
    from imrestore import degrade

    chain = degrade.real_esrgan(scale=real_esrgan.SCALE)
    return lambda number: chain(batch, rng=SEED, index=number)


@cache
def real_esrgan_likenesses(name: str, count: int) -> tuple[tuple[float, ...], ...]:
    make, image, side = real_esrgan_maker(name), damage.colours(), damage.SIDE // real_esrgan.SCALE
    batches = [make(number).permute(0, 2, 3, 1).numpy() for number in range(0, count, BATCH)]
    return tuple(tuple(likeness(sample, image, side) for sample in batch) for batch in batches)


def likeness(sample: Array, image: Array, side: int) -> float:
    """PSNR to the image that area means shrink; not a number for what is no result at all."""
    import cv2

    reference = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    if (sample.shape, sample.dtype) != (reference.shape, reference.dtype):
        return math.nan
    return expected.psnr(sample, reference, 1.0)


def judged(found: Mapping[str, Sequence[float]], level: Level, image: Array) -> dict[str, Any]:
    """The part of a row that says who is right."""
    return {
        "suite": SUITE,
        "dtype": str(image.dtype),
        "shape": image.shape,
        "equal": level.holds(found[OURS]),
        "inexact_peers": tuple(name for name in found if name != OURS and not level.holds(found[name])),
        "decibels": {name: float(np.mean(values)) for name, values in found.items()},
    }


# Augmentation


def albumentations_row(plan: Plan, threads: int, chain: str, dtype: str) -> Row:
    count = BATCH if plan.quick else 4 * BATCH
    image = stored(dtype)
    batches = partial(in_batches, our_chain(chain), stack(image), count)
    others = [] if augmentation.albumentations(chain) is None else [augmentation.ALBUMENTATIONS]
    makers = {name: albumentations_maker(name, chain, dtype) for name in (OURS, *others)}
    row = measure_samples(
        plan,
        threads,
        count,
        partial(one_by_one, makers[OURS], count) if threads == 1 else batches,
        [Contender(IN_BATCHES, batches)] if threads == 1 else [],
        {name: Task(albumentations_maker, (name, chain, dtype)) for name in others},
        suite=SUITE,
        filter="augment",
        parameters=f"{chain}, {'one by one, ' if threads == 1 else ''}{in_threads(threads)}",
        dtype=dtype,
        shape=image.shape,
        goal=ALBUMENTATIONS_GOAL if others else None,
        note="" if others else f"{augmentation.ALBUMENTATIONS} is not installed",
    )
    return toned(row, image, chain, {name: [make(i) for i in range(count)] for name, make in makers.items()})


def albumentations_maker(name: str, chain: str, dtype: str) -> Callable[[int], Array]:
    """Augmented images by number, of us or of others."""
    image, other = stored(dtype), augmentation.albumentations(chain)
    if name != OURS and other is not None:
        return lambda number: other(image)
    augment = our_chain(chain)
    return lambda number: augment(image, rng=SEED, index=number, channel_axis=-1)


def kornia_row(plan: Plan, threads: int, chain: str) -> Row:
    import torch

    augment, other = our_chain(chain), augmentation.kornia(chain)
    image = stored("float32")
    batch = tensors(image)
    torch.manual_seed(SEED)
    makers: dict[str, Callable[[], Any]] = {OURS: partial(augment, batch, rng=SEED)}
    if other is not None:
        makers[augmentation.KORNIA] = partial(other, batch)
    row = measure_samples(
        plan,
        threads,
        BATCH,
        makers[OURS],
        [Contender(name, make) for name, make in makers.items() if name != OURS],
        {},
        suite=SUITE,
        filter="augment",
        parameters=f"{chain}, batches of {BATCH}, {in_threads(threads)}",
        dtype="float32",
        shape=tuple(batch.shape),
        goal=None if other is None else KORNIA_GOAL,
        note="" if other is not None else f"{augmentation.KORNIA} is not installed",
    )
    return toned(row, image, chain, {name: list(make().permute(0, 2, 3, 1).numpy()) for name, make in makers.items()})


def our_chain(chain: str) -> Any:
    """The chain of the peers, with the same ranges. Floats are clipped where Albumentations clips them.

    The peers change colours in an order that they draw, and turn hues in HSV; ours has one order, and turns them in YIQ.
    """
    from imrestore import augment, degrade

    a = augmentation
    flip, crop, clip = augment.Flip("horizontal"), augment.Crop(a.CROP), degrade.Clip()
    shift, factor, hue = (-a.SHIFT, a.SHIFT), (1 - a.JITTER, 1 + a.JITTER), (-360 * a.HUE, 360 * a.HUE)
    move = augment.Affine((-a.ANGLE, a.ANGLE), right=shift, down=shift, scale=a.SCALES, mode="constant")
    colour = [augment.ColorJitter(factor, factor, factor, hue), clip]
    noise = [degrade.GaussianNoise(255 * a.NOISE), clip]
    steps = {
        a.CROPPED: [flip, crop],
        a.MOVED: [flip, move],
        a.COLOURED: colour,
        a.TRAINING: [flip, move, crop, *colour, *noise],
    }
    return degrade.Chain(steps[chain], white=255)


def toned(row: Row, image: Array, chain: str, samples: dict[str, list[Array]]) -> Row:
    """The row, with the verdict on samples of everyone."""
    side = augmentation.CROP if chain in (augmentation.CROPPED, augmentation.TRAINING) else len(image)
    right = {name: plausible(found, image, side) for name, found in samples.items()}
    return replace(row, equal=right[OURS], inexact_peers=tuple(name for name in right if name != OURS and not right[name]))


def plausible(samples: Sequence[Array], image: Array, side: int) -> bool:
    """Whether augmented samples have the size and about the tone that they should have, and most differ from all others."""
    if any((one.shape, one.dtype) != ((side, side, 3), image.dtype) for one in samples):
        return False
    different = len({one.tobytes() for one in samples})
    tone = [(one.mean(), one.std()) for one in samples]
    ratios = np.mean(tone, axis=0) / (image.mean(), image.std())
    return bool(np.all(abs(ratios - 1) <= TONE)) and different > len(samples) / 2


# Single steps


def step_row(plan: Plan, case: damage.Case) -> Row:
    image = damage.colours()
    with limited(1):
        right, decibels = case.check(image)
        return measure(
            plan,
            partial(case.ours, image),
            [Contender(name, partial(run, image)) for name, run in case.peers.items()],
            suite=SUITE,
            filter=case.filter,
            parameters=f"{case.parameters}, 1 thread",
            dtype=str(image.dtype),
            shape=image.shape,
            equal=right,
            decibels={OURS: decibels},
        )


# Images and calls


@cache
def stored(dtype: str) -> Array:
    image: Array = damage.colours()
    return image if dtype == "float32" else np.rint(image * 255).astype(dtype)


def stack(image: Array) -> Array:
    return np.stack([image] * BATCH)


def tensors(image: Array) -> Any:
    """A batch of torch's, channels first."""
    import torch

    return torch.from_numpy(stack(image).transpose(0, 3, 1, 2).copy())


def one_by_one(make: Callable[[int], object], count: int) -> None:
    for number in range(count):
        make(number)


def every_batch(make: Callable[[int], object], count: int) -> None:
    for number in range(0, count, BATCH):
        make(number)


def in_batches(chain: Callable[..., object], images: Array, count: int) -> None:
    every_batch(lambda number: chain(images, rng=SEED, index=number, batch_axis=0, channel_axis=-1), count)
