"""What a camera does to light: colour filters, noise, colours and tones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from imrestore_kernels.curves import Curve

from imrestore.degrade._distributions import Choice, LogUniform, Normal
from imrestore.degrade._launches import Numbers, Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

_MOSAIC = Operation("camera", "mosaic", backward="adjoint")
_PLANE = Operation("camera", "mosaic", backward="adjoint", in_place=False)
_DEMOSAIC = Operation("camera", "demosaic", backward="adjoint", in_place=False)
_CURVE = Operation("camera", "curve", backward="gradient")
_MATRIX = Operation("colours", "matrix", backward="adjoint")
_POISSON = Operation("noising", "poisson")

_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
_METHODS = ("bilinear", "malvar")

# From tristimulus values to the raw colours of four cameras: those that Brooks et al. mix (their code is under Apache 2.0).
_SENSORS = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.838, -0.263, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.097, 0.1581, 0.5181]],
    ]
)
#: Linear sRGB to tristimulus values (IEC 61966-2-1, with more digits).
_SRGB = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
#: Read noise by shot noise, both variances, in logarithms: slope, offset and standard deviation about the line (Brooks et al.).
_SLOPE, _OFFSET, _SPREAD = 2.18, 1.20, 0.26


@dataclass(frozen=True)
class Mosaic(Step):
    """Keep of each pixel what the colour filters of a sensor let through, one of three channels.

    Parameters
    ----------
    pattern : {'RGGB', 'BGGR', 'GRBG', 'GBRG'} or Choice, default: 'RGGB'
        Filters of the upper left 2 x 2 pixels, row by row.
    demosaic : {None, 'bilinear', 'malvar'} or Choice of the names, default: None
        How the other two channels are made up again: from the nearest pixels, or by the filters of Malvar, He and Cutler,
        "High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004. With None they are 0.

    Raises
    ------
    TypeError
        If a parameter is no name.
    ValueError
        If there is no such pattern or method, or the image does not have three channels.

    Notes
    -----
    Beyond its border the mosaic is mirrored about its outermost pixels, which keeps the pattern.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Mosaic
    >>> Mosaic()(numpy.ones((3, 2, 2)), channel_axis=0).tolist()
    [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]
    """

    pattern: str | Choice = "RGGB"
    demosaic: str | Choice | None = None

    def __post_init__(self) -> None:
        check_option("pattern", self.pattern, _PATTERNS)
        if self.demosaic is not None:
            check_option("demosaic", self.demosaic, _METHODS)

    def check_images(self, draw: Draw) -> None:
        draw.same_channels((3,), "Mosaic")

    def plan(self, draw: Draw) -> None:
        self.check_images(draw)
        patterns = draw.option(self.pattern)
        which = np.array([_PATTERNS.index(pattern) for pattern in patterns])
        if self.demosaic is None:
            draw.launch(_MOSAIC, A=which)
            draw.record("Mosaic", pattern=patterns)
            return
        methods = draw.option(self.demosaic)
        draw.launch(_PLANE, A=which, B=1, out_channels=np.ones(len(draw), np.int64))
        _demosaic(draw, which, methods)
        draw.record("Mosaic", pattern=patterns, demosaic=methods)


def _demosaic(draw: Draw, which: Numbers, methods: list[str]) -> None:
    by = np.array([_METHODS.index(method) for method in methods])
    draw.launch(_DEMOSAIC, A=which, B=by, out_channels=np.full(len(draw), 3, np.int64))


@dataclass(frozen=True)
class Gamma(Step):
    """Raise every value, as a share of white, to a power.

    Parameters
    ----------
    gamma : number, range or distribution, default: 2.2
        The power, > 0: above 1 the image gets darker. Black and white stay what they are; negative values go the same way below 0.

    Raises
    ------
    TypeError
        If `gamma` is of a type that cannot be meant.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Gamma
    >>> Gamma(2)(numpy.array([[0.0, 0.5, 1.0]]))
    array([[0.  , 0.25, 1.  ]])
    """

    gamma: Value = 2.2

    def __post_init__(self) -> None:
        check_fields(self, 0, 100, "gamma", above=True)

    def plan(self, draw: Draw) -> None:
        gamma = draw.value(self.gamma)
        draw.launch(_CURVE, [draw.white, gamma], A=Curve.POWER)
        draw.record("Gamma", gamma=gamma)


@dataclass(frozen=True)
class Camera(Step):
    """Make a noisy photograph of an sRGB picture: undo what a camera did, add its noise to raw values, and do it again.

    T. Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019: tone curve, encoding of sRGB, colours and white
    balance are undone with the numbers of a camera drawn at random, and done again with the same. In between lie a mosaic of
    colour filters and the noise of photons and of reading out. Noise becomes stronger in the dark, of several colours, and as
    coarse as demosaicing makes it.

    Parameters
    ----------
    shot : number, range or distribution, default: LogUniform(1e-4, 1.2e-2)
        Variance of a raw value of white from counting photons, as a share of white squared, >= 0.
    read : number, range or distribution, optional
        Standard deviation from reading out, as a share of white, >= 0. By default its square is drawn by `shot`, as section 3.2 of
        the paper has it: log read^2 is 2.18 log(shot) + 1.20, give or take 0.26.
    red, blue : number, range or distribution, default: (1.9, 2.4) and (1.5, 1.9)
        White balance: gains against green, 0.01 to 100.
    brightness : number, range or distribution, default: Normal(0.8, 0.1)
        Raw light as a share of that of the picture, 0.01 to 100.
    pattern : {None, 'RGGB', 'BGGR', 'GRBG', 'GBRG'} or Choice of the names, default: 'RGGB'
        Colour filters of the sensor, as in `Mosaic`; None for one that sees all three colours of a pixel.
    demosaic : {'bilinear', 'malvar'} or Choice, default: 'malvar'
        How the mosaic becomes a picture again, as in `Mosaic`.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or the image does not have three channels.

    Notes
    -----
    Other than in the paper photons are counted (their number is that of Poisson), the picture is as bright again in the end, the
    encoding is that of sRGB both ways, and highlights are not treated apart. Without noise and mosaic the picture comes back.
    Results are within black and white.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Camera
    >>> image = numpy.full((32, 32, 3), 100, numpy.uint8)
    >>> noisy = Camera(shot=0.01)(image, rng=0, channel_axis=-1)
    >>> bool(noisy.std() > 5)
    True
    >>> clean = Camera(shot=0, read=0, pattern=None)(image, rng=0, channel_axis=-1)
    >>> bool((clean == image).all())
    True
    """

    shot: Value = field(default=LogUniform(1e-4, 1.2e-2))
    read: Value | None = None
    red: Value = field(default=(1.9, 2.4), kw_only=True)
    blue: Value = field(default=(1.5, 1.9), kw_only=True)
    brightness: Value = field(default=Normal(0.8, 0.1), kw_only=True)
    pattern: str | Choice | None = field(default="RGGB", kw_only=True)
    demosaic: str | Choice = field(default="malvar", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "shot")
        if self.read is not None:
            check_fields(self, 0, 1, "read")
        check_fields(self, 0.01, 100, "red", "blue", "brightness")
        if self.pattern is not None:
            check_option("pattern", self.pattern, _PATTERNS)
        check_option("demosaic", self.demosaic, _METHODS)

    def check_images(self, draw: Draw) -> None:
        draw.same_channels((3,), "Camera")

    def plan(self, draw: Draw) -> None:
        self.check_images(draw)
        white, shot = draw.white, draw.value(self.shot)
        read = self._read(draw, shot)
        red, blue, brightness = draw.value(self.red), draw.value(self.blue), draw.value(self.brightness)
        raw = _raw_matrix(draw.uniforms(len(_SENSORS))) * (
            brightness[:, None] / np.stack([red, np.ones_like(red), blue], axis=1)
        )[:, :, None]
        patterns = None if self.pattern is None else draw.option(self.pattern)
        methods = draw.option(self.demosaic)
        for kind in (Curve.INVERSE_TONE, Curve.DECODE):
            draw.launch(_CURVE, [white], A=kind)
        _multiply(draw, raw)
        which = np.array([_PATTERNS.index(pattern) for pattern in patterns or ()])
        if patterns is not None:
            draw.launch(_PLANE, A=which, B=1, out_channels=np.ones(len(draw), np.int64))
        draw.launch(_POISSON, [white * shot, white * read], A=-1)
        if patterns is not None:
            _demosaic(draw, which, methods)
        _multiply(draw, np.asarray(np.linalg.inv(raw), np.float64))
        for kind in (Curve.ENCODE, Curve.TONE):
            draw.launch(_CURVE, [white], A=kind)
        draw.record("Camera", shot=shot, read=read, red=red, blue=blue, brightness=brightness)

    def _read(self, draw: Draw, shot: Floats) -> Floats:
        """Standard deviation from reading out, as a share of white."""
        if self.read is not None:
            return draw.value(self.read)
        about = draw.value(Normal(0.0, _SPREAD))
        with np.errstate(divide="ignore"):  # without photons the line ends at 0
            variance: Floats = np.exp(_SLOPE * np.log(shot) + _OFFSET + about)
        return np.sqrt(variance)


def _raw_matrix(weights: Floats) -> Floats:
    """Linear sRGB to raw values of a mixture of sensors, for each sample; grey stays as it is, (samples, 3, 3)."""
    mixed = np.einsum("nk,kij->nij", weights / weights.sum(axis=1, keepdims=True), _SENSORS) @ _SRGB
    own: Floats = mixed / mixed.sum(axis=2, keepdims=True)
    return own


def _multiply(draw: Draw, matrix: Floats) -> None:
    start = draw.store(np.concatenate([matrix, np.zeros((len(matrix), 3, 1))], axis=2))
    draw.launch(_MATRIX, A=start)
