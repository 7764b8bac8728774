"""Compression: what a JPEG file leaves of an image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imrestore._checks.values import one_of
from imrestore.degrade._distributions import Choice
from imrestore.degrade._launches import Operation
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

#: In the order in which column A counts them.
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
_ENCODERS = {name: Operation("jpeg", function, in_place=False) for name, function in (("model", "jpeg"), ("pillow", "pillow"))}


@dataclass(frozen=True)
class JPEG(Step):
    """Write a baseline JPEG file and read it again.

    Parameters
    ----------
    quality : number, range or distribution, default: (30, 95)
        Quality as the Independent JPEG Group's encoder and everybody since means it, 1 to 100; what is drawn is rounded to a whole
        number.
    subsampling : {'4:4:4', '4:2:2', '4:2:0'} or Choice, default: '4:2:0'
        Resolution of the colours of images with three channels: full, or half along rows, or along both axes.
    encoder : {'model', 'pillow'}, default: 'model'
        'model' does all of it but the entropy coding, which loses nothing. 'pillow' writes and reads a real file in memory, on the
        CPU only.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or `encoder` is 'pillow' and the image on a CUDA device.

    Notes
    -----
    Values are clipped to 0 .. white and rounded to the 256 levels of a file; a NaN becomes 0. Three channels are red, green and
    blue and become YCbCr (JFIF 1.02); of any other number each is compressed on its own, as grey. The gradient is handed on as it
    is.

    The model's levels are, on the CPU and on CUDA, those of libjpeg-turbo with its defaults, which Pillow and OpenCV come with:
    tables K.1 and K.2 of ITU-T Rec. T.81, the integer transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), means of
    chroma, and linear interpolation ("fancy upsampling") on the way back.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import JPEG
    >>> image = numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), numpy.uint8)
    >>> model = JPEG(50)(image, channel_axis=-1)
    >>> bool((model == image).all()), bool((model == JPEG(50, encoder="pillow")(image, channel_axis=-1)).all())
    (False, True)
    """

    quality: Value = (30, 95)
    subsampling: str | Choice = field(default="4:2:0", kw_only=True)
    encoder: str = field(default="model", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 1, 100, "quality")
        check_option("subsampling", self.subsampling, _SUBSAMPLINGS)
        one_of("encoder", self.encoder, tuple(_ENCODERS))

    def plan(self, draw: Draw) -> None:
        quality = np.rint(draw.value(self.quality))
        subsampling = draw.option(self.subsampling)
        which = np.array([_SUBSAMPLINGS.index(name) for name in subsampling])
        draw.launch(_ENCODERS[self.encoder], [quality, draw.white], A=which)
        draw.record("JPEG", quality=quality, subsampling=subsampling)
