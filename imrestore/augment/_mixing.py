"""Samples with parts covered, and samples mixed with others of their batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imrestore._checks.values import finite, one_of
from imrestore.degrade._distributions import Beta
from imrestore.degrade._launches import IMAGE, MASK, TARGET, Numbers, Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value

_ERASE = Operation("mixing", "erase", backward="adjoint")
_BLEND = Operation("mixing", "blend", backward="adjoint", in_place=False, crosses=True)
_PASTE = Operation("mixing", "paste", backward="adjoint", in_place=False, crosses=True)


def _boxes(u: Floats, shares: Floats, heights: Numbers, widths: Numbers) -> Floats:
    """Rows and columns (top, bottom, left, right) of boxes with shares of both sides, about places drawn in the image."""
    ends = []
    for k, lengths in enumerate((heights, widths)):
        side = np.rint(shares * lengths)
        start = np.floor(u[:, k] * lengths) - np.floor(side / 2)
        ends += [np.clip(start, 0, lengths), np.clip(start + side, 0, lengths)]
    return np.stack(ends, axis=-1)


@dataclass(frozen=True)
class Cutout(Step):
    """Cover rectangles of the image.

    Parameters
    ----------
    size : number, range or distribution, default: 0.5
        Sides of a rectangle as shares of those of the image, 0 to 1.
    count : number or distribution, default: 1
        Rectangles, a whole number from 1 to 8.
    fill : 'mean' or float, default: 0.0
        What covers them: the mean of the sample's channel, or a value in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    T. DeVries and G. Taylor, "Improved regularization of convolutional neural networks with cutout", 2017. The middle of a
    rectangle is anywhere in the image: as in the paper a part of it may lie outside. Targets and masks stay whole.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Cutout
    >>> covered = Cutout(0.25)(numpy.ones((64, 64)), rng=0)
    >>> int((covered == 0).sum()) <= 256
    True
    """

    size: Value = 0.5
    count: Value = 1
    fill: str | float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "size")
        check_fields(self, 1, 8, "count", whole=True)
        if isinstance(self.fill, str):
            one_of("fill", self.fill, ("mean",))
        else:
            finite("fill", self.fill, "'mean' or a finite number in the image's units")

    def plan(self, draw: Draw) -> None:
        size, count = draw.value(self.size), draw.value(self.count).astype(np.int64)
        most = int(count.max(initial=1))
        u = draw.uniforms(2 * most)
        boxes = np.stack([_boxes(u[:, 2 * k :], size, draw.heights, draw.widths) for k in range(most)], axis=1)
        mean = isinstance(self.fill, str)
        fill = 0.0 if isinstance(self.fill, str) else self.fill * draw.unit
        draw.launch(_ERASE, [fill], A=draw.store(boxes), B=count, C=int(mean))
        draw.record("Cutout", boxes=[own[:n].tolist() for own, n in zip(boxes.astype(np.int64), count.tolist(), strict=True)])


def _partners(draw: Draw) -> Numbers:
    """Another sample of the batch for each, itself where it is alone; of the same shape."""
    count = len(draw.batch.now)
    steps = 1 + np.floor(draw.uniforms()[:, 0] * (count - 1)).astype(np.int64)
    partners: Numbers = (draw.ids + steps) % count
    shape = draw.batch.now[:, 2:5]
    if (shape[partners] != shape[draw.ids]).any():
        raise ValueError("samples of a batch that are mixed must have the same shape; put a Crop or a Resize before")
    return partners


@dataclass(frozen=True)
class MixUp(Step):
    """Blend every sample with another one of its batch.

    Parameters
    ----------
    weight : number, range or distribution, default: Beta(0.2, 0.2)
        The sample's own share, 0 to 1.

    Raises
    ------
    TypeError
        If `weight` is of a type that cannot be meant.
    ValueError
        If it is out of range, or samples of the batch have different shapes.

    Notes
    -----
    H. Zhang, M. Cisse, Y. Dauphin and D. Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018. Targets are blended
    like images. For labels ask `draw` with the same `rng`, `index` and `count`: it tells the weight and the partner, by its
    position in the batch. A sample alone is its own partner, and changes by no more than rounding; in another batch it
    has another one. There is no gradient through
    samples that are mixed.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import MixUp
    >>> batch = numpy.array([0.0, 1.0]).reshape(2, 1, 1, 1)
    >>> MixUp(0.75)(batch, rng=0).ravel().tolist()
    [0.25, 0.75]
    >>> MixUp(0.75).draw((1, 1), rng=0, count=2)[0]
    [('MixUp', {'weight': 0.75, 'partner': 1})]
    """

    weight: Value = field(default=Beta(0.2, 0.2))

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "weight")

    def plan(self, draw: Draw) -> None:
        weight, partners = draw.value(self.weight), _partners(draw)
        draw.launch(_BLEND, [weight], roles=(IMAGE, TARGET), A=partners)
        draw.record("MixUp", weight=weight, partner=partners)


@dataclass(frozen=True)
class CutMix(Step):
    """Paste a rectangle of another sample of the batch.

    Parameters
    ----------
    weight : number, range or distribution, default: Beta(1, 1)
        The sample's own share of the area, 0 to 1, before the rectangle is cut at the image's border.

    Raises
    ------
    TypeError
        If `weight` is of a type that cannot be meant.
    ValueError
        If it is out of range, or samples of the batch have different shapes.

    Notes
    -----
    S. Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable features", ICCV 2019. The rectangle
    has the image's proportions and its middle anywhere in it. Targets and masks get the same rectangle. For labels
    `draw` tells the weight that is left and the partner, as for `MixUp`.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import CutMix
    >>> batch = numpy.arange(2.0).reshape(2, 1, 1, 1) * numpy.ones((1, 1, 16, 16))
    >>> mixed = CutMix(0.75)(batch, rng=0)
    >>> weights = [CutMix(0.75).draw((16, 16), rng=0, count=2)[k][0][1]["weight"] for k in range(2)]
    >>> weights == [1 - mixed[0].mean(), mixed[1].mean()]
    True
    """

    weight: Value = field(default=Beta(1, 1))

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "weight")

    def plan(self, draw: Draw) -> None:
        weight, partners = draw.value(self.weight), _partners(draw)
        height, width = draw.heights, draw.widths
        boxes = _boxes(draw.uniforms(2), np.sqrt(1 - weight), height, width)
        top, bottom, left, right = boxes.T
        draw.launch(_PASTE, [top, bottom, left, right], roles=(IMAGE, TARGET, MASK), A=partners)
        left_over = 1 - (bottom - top) * (right - left) / (height * width)
        draw.record("CutMix", weight=left_over, partner=partners, box=boxes.astype(np.int64))
