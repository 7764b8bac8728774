"""What JPEG leaves of samples: against its definition, against Pillow's encoder and decoder, and on CUDA."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.cpu import _jpeg_blocks, _vector_text
from imrestore_kernels.cpu import jpeg as cpu
from imrestore_kernels.cpu._jpeg_blocks import quantisation
from imrestore_kernels.cpu._jpeg_rows import ARGUMENTS, Rows
from imrestore_kernels.cpu._text_kernel import TextKernel
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import jpeg as cuda
from imrestore_kernels.samples import Size
from PIL import Image, features
from scipy import ndimage

import imrestore
from imrestore.degrade._jpeg import JPEG
from imrestore.degrade._values import Choice
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.oracles import damage_jpeg as oracle
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

#: Channels, height and width: blocks cut at every side, a last unit of one row or column, rows that end within a vector, images too
#: narrow for interpolated chroma, of one block, of one pixel.
SHAPES = [
    *[(3, 17, 33), (3, 16, 16), (3, 34, 31), (3, 5, 3), (3, 7, 4), (3, 1, 5), (3, 9, 1), (3, 1, 1), (3, 24, 66), (3, 33, 48)],
    *[(1, 8, 8), (1, 9, 17), (1, 1, 1), (2, 12, 40), (4, 7, 5)],
]
QUALITIES = (1, 30, 49, 50, 75, 92, 100)
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
turbo = pytest.mark.skipif(not features.check_feature("libjpeg_turbo"), reason="Pillow has another library than libjpeg-turbo")


def picture(rng: np.random.Generator, shape: tuple[int, int, int], smooth: bool) -> np.ndarray:
    """Levels: noise, or spots that end in black and white."""
    levels = rng.integers(0, 256, shape).astype(float)
    if smooth:
        levels = np.clip(ndimage.gaussian_filter(levels, (0, 2, 2)) * 4 - 384, 0, 255)
    return levels.astype(np.uint8)


def scattered(dtype: str, white: float) -> Scattered:
    """All shapes with all kinds of chroma, and qualities by turns; values between the levels, beyond them, and NaN."""
    rng = np.random.default_rng(3)
    samples = []
    for i, shape in enumerate(SHAPES):
        for subsampling in range(3 if shape[0] == 3 else 1):
            levels = picture(rng, shape, smooth=subsampling != 1) + rng.uniform(-0.49, 0.49, shape)
            image = (np.where(levels > 250, 1.5 * levels, np.where(levels < 5, -levels, levels)) * (white / 255)).astype(dtype)
            if i < 3:
                image[0, 1, :3] = np.nan, np.inf, -np.inf
            quality = QUALITIES[(i + subsampling) % len(QUALITIES)]
            samples.append(Sample(image, shape, {"A": subsampling}, (quality, white)))
    return Scattered(samples, np.zeros(1), dtype)


def pixels(levels: np.ndarray, dtype: str, white: float) -> np.ndarray:
    return (levels * white / 255).astype(dtype)


@pytest.mark.parametrize(("dtype", "white"), [("float32", 1.0), ("float32", 255.0), ("float64", 1.0), ("float64", 65535.0)])
def test_levels_are_those_of_the_definition(dtype: str, white: float) -> None:
    batch = scattered(dtype, white)
    for sample, found in zip(batch.samples, batch.run(cpu.jpeg), strict=True):
        scaled = sample.image * np.dtype(dtype).type(255 / white)
        levels = np.rint(np.clip(np.where(np.isnan(scaled), 0, scaled), 0, 255)).astype(int)
        expected = oracle.jpeg(levels, int(sample.numbers[0]), sample.columns["A"])
        assert same_bits(found, pixels(expected, dtype, white)), (sample.image.shape, sample.columns, sample.numbers)


@pytest.mark.parametrize("width", [32, 64])
def test_code_for_other_processors(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the instructions of x86, for registers of either width: the same levels."""
    batch = scattered("float32", 255.0)
    expected = batch.run(cpu.jpeg)
    for module in (_jpeg_blocks, _vector_text):
        monkeypatch.setattr(module, "register_bytes", lambda: width)
    for name, channels in (("colour_kernel", 3), ("grey_kernel", 1)):
        text = Rows(np.dtype("float32"), x86=False).whole(channels)
        kernel = TextKernel(f"test_plain_{name}_{width}", lambda text=text: text, ARGUMENTS)  # type: ignore[misc]
        monkeypatch.setattr(cpu, name, lambda _, kernel=kernel: kernel)
    for a, b in zip(expected, batch.run(cpu.jpeg), strict=True):
        assert same_bits(a, b)


def test_quotients_are_exact_for_every_step_and_coefficient() -> None:
    sizes = np.arange(8300)  # a block of levels has a norm of at most 8 x 128, and coefficients are 8 times too large
    known = {}
    for quality in range(1, 101):
        numbers = quantisation(quality)
        for kind, base in enumerate((oracle.LUMINANCE, oracle.CHROMINANCE)):
            assert (numbers[kind, :, 3, :8] == oracle.table(base, quality)).all()
        assert all((numbers[..., :8] == numbers[..., i : i + 8]).all() for i in (8, 16, 24))
        known.update({row[3]: row for row in numbers[..., :8].swapaxes(2, 3).reshape(-1, 4).tolist()})
    assert set(known) > set(range(1, 100))
    for half, factor, power, step in known.values():
        expected = (sizes + 4 * step) // (8 * step)
        assert (((sizes + half) * factor >> 16) * power >> 16 == expected).all()
        share = np.float32(0.125 * (1 + 2.0**-15)) / np.float32(step)  # on CUDA, where a division may miss by 2 units
        for slip in (-2, 0, 2):
            near = np.float32(share * (1 + slip * 2.0**-23))
            assert (np.rint(sizes.astype(np.float32) * near) == expected).all()


def through_pillow(levels: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(levels, 0, -1) if len(levels) == 3 else levels[0]).save(
        file, "JPEG", quality=quality, subsampling=subsampling
    )
    read = np.asarray(Image.open(file))
    return np.moveaxis(read, -1, 0) if len(levels) == 3 else read[None]


@turbo
def test_levels_are_those_of_libjpeg_turbo() -> None:
    rng = np.random.default_rng(8)
    shapes = [(3, 47, 61), (3, 64, 64), (3, 2, 3), (3, 3, 6), (1, 30, 45)]
    samples = [
        Sample(picture(rng, shape, smooth=quality % 2 > 0).astype("float32"), shape, {"A": subsampling}, (quality, 255.0))
        for shape in shapes
        for quality in (1, 5, *range(10, 100, 15), 99, 100)
        for subsampling in range(3)
    ]
    found = Scattered(samples, np.zeros(1), "float32").run(cpu.jpeg)
    for sample, levels in zip(samples, found, strict=True):
        expected = through_pillow(sample.image.astype(np.uint8), int(sample.numbers[0]), sample.columns["A"])
        np.testing.assert_array_equal(levels, expected)


@pytest.mark.parametrize(("channels", "subsampling"), [(3, 0), (3, 1), (3, 2), (2, 0)])
def test_same_bits_for_any_number_of_threads(channels: int, subsampling: int) -> None:
    image = picture(np.random.default_rng(2), (channels, 210, 230), smooth=True).astype("float32")
    batch = Scattered([Sample(image, image.shape, {"A": subsampling}, (40, 255.0))], np.zeros(1), "float32")
    with imrestore.threads(1):
        (alone,) = batch.run(cpu.jpeg)
    for threads in (2, 3):
        with imrestore.threads(threads):
            (found,) = batch.run(cpu.jpeg)
        assert same_bits(found, alone)
    np.testing.assert_array_equal(alone, oracle.jpeg(image, 40, subsampling))


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize(("dtype", "white"), [("float32", 1.0), ("float64", 65535.0)])
def test_same_bits_on_cuda(dtype: str, white: float) -> None:
    check_same_on_cuda(scattered(dtype, white), cpu.jpeg, cuda.jpeg)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_of_threads_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    check_same_on_cuda(scattered("float32", 1.0), cpu.jpeg, cuda.jpeg)


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiles_without_spills(dtype: str) -> None:
    samples = np.zeros(1, dtype)
    recorder = Recorder()
    with _launch.use(recorder):
        cuda.jpeg(samples, samples, None, None, samples, Size(100_000, 3, 512, 512, 512, 512))
    assert list(recorder.launches) == ["jpeg_code", "jpeg_pixels"]
    for function, (text, shared_bytes, grid, _) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[1] <= 65535


@turbo
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_encoders_agree(subsampling: str) -> None:
    rng = np.random.default_rng(4)
    images = np.stack([picture(rng, (3, 40, 27), smooth=True) for _ in range(4)])
    model, real = (JPEG((20, 90), subsampling=subsampling, encoder=encoder) for encoder in ("model", "pillow"))
    found = model(images, rng=1)
    assert same_bits(found, real(images, rng=1))
    drawn = [parameters for ((_, parameters),) in model.draw((3, 40, 27), rng=1, count=4)]
    assert len({one["quality"] for one in drawn}) == 4
    for image, result, one in zip(images, found, drawn, strict=True):
        np.testing.assert_array_equal(result, through_pillow(image, int(one["quality"]), SUBSAMPLINGS.index(subsampling)))
    floats = images.astype("float32") / 255
    floats[0, 0, 0, :4] = np.nan, 2, -1, 3e38
    assert same_bits(model(floats, rng=1), real(floats, rng=1))
    tensor = torch.from_numpy(images)
    assert same_bits(real(tensor, rng=1).numpy(), found)
    grey = images[:, :2]
    assert same_bits(model(grey, rng=1), real(grey, rng=1))


def test_samples_draw_their_kind_of_chroma() -> None:
    step = JPEG(30, subsampling=Choice(SUBSAMPLINGS))
    drawn = [parameters["subsampling"] for ((_, parameters),) in step.draw((3, 8, 8), rng=0, count=20)]
    assert set(drawn) == set(SUBSAMPLINGS)
    images = np.repeat(picture(np.random.default_rng(1), (3, 20, 20), smooth=False)[None], 20, axis=0)
    for result, subsampling in zip(step(images, rng=0), drawn, strict=True):
        assert same_bits(result, JPEG(30, subsampling=subsampling)(images[0], channel_axis=0))


def test_qualities_are_rounded() -> None:
    assert JPEG(9.6).draw((8, 8)) == [("JPEG", {"quality": 10.0, "subsampling": "4:2:0"})]
    image = picture(np.random.default_rng(1), (1, 20, 20), smooth=False)[0]
    assert same_bits(JPEG(9.6)(image), JPEG(10)(image))
    assert not same_bits(JPEG(9.6)(image), JPEG(9)(image))


def test_gradient_is_handed_on() -> None:
    image = torch.rand(1, 3, 12, 9, requires_grad=True)
    weights = torch.rand(1, 3, 12, 9)
    (JPEG(10)(image) * weights).sum().backward()
    assert image.grad is not None
    assert torch.equal(image.grad, weights)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"quality": 0}, ValueError, "quality is 0; it must be"),
        ({"quality": (50, 101)}, ValueError, r"quality is \(50, 101\); it must be"),
        ({"quality": "high"}, TypeError, "quality is 'high' of type str"),
        ({"subsampling": "4:1:1"}, ValueError, "subsampling is '4:1:1'"),
        ({"encoder": "turbo"}, ValueError, "encoder is 'turbo'"),
    ],
)
def test_wrong_parameters(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        JPEG(**arguments)


def test_pillow_is_not_for_cuda() -> None:
    with pytest.raises(ValueError, match="encoder is 'pillow' and the image on a CUDA device"):
        cuda.pillow(None, None, None, None, None, Size(1, 1, 1, 1, 1, 1))
