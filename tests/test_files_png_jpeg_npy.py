"""PNG, JPEG and NPY through the command: pixels equal the library's result, depth and metadata stay."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

import imrestore
from imrestore.cli import main
from imrestore.cli.files import Limits, png, read
from tests.png_by_hand import decode, encode

RNG = np.random.default_rng(3)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Write an input, run a filter on it, give the path of the output."""

    def through(data: bytes, name: str, *options: str, command: str = "median", out: str = "out/") -> Path:
        (tmp_path / name).write_bytes(data)
        assert main([command, str(tmp_path / name), "-o", f"{tmp_path}/{out}", *options]) == 0
        return tmp_path / out / name if out.endswith("/") else tmp_path / out

    return through


def noise(*shape: int, bits: int = 8) -> np.ndarray:
    return RNG.integers(0, 2**bits, shape).astype(np.uint16 if bits > 8 else np.uint8)


def median(pixels: np.ndarray) -> np.ndarray:
    """The oracle: the public function on each channel of (height, width, channels)."""
    return imrestore.median(pixels, 3, channel_axis=-1)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("colour", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_keeps_depth_and_colour_and_leaves_alpha_alone(run: Run, colour: int, samples: int, depth: int) -> None:
    pixels = noise(29, 37, samples, bits=depth)
    result, got_colour, got_depth, _ = decode(run(encode(pixels, colour, depth), "a.png").read_bytes())
    assert (got_colour, got_depth) == (colour, depth)
    colours = 1 if samples < 3 else 3
    np.testing.assert_array_equal(result[..., :colours], median(pixels[..., :colours]))
    np.testing.assert_array_equal(result[..., colours:], pixels[..., colours:])


@pytest.mark.parametrize("depth", [8, 16])
def test_smooth_png_pictures_use_filters_and_decode_alike(run: Run, depth: int) -> None:
    y, x = np.mgrid[:40, :50]
    pixels = np.stack([x * 3 + y, 2 * y, x + y * y // 9], axis=-1).astype(np.uint16)
    pixels = (pixels << 8 | pixels) if depth == 16 else pixels.astype(np.uint8)
    path = run(encode(pixels, 2, depth), "a.png", "--size", "1")
    np.testing.assert_array_equal(decode(path.read_bytes())[0], pixels)
    assert path.stat().st_size < pixels.nbytes / 3


@pytest.mark.parametrize("command", ["median", "mean"])
def test_black_and_white_png_stays_one_bit_under_the_median_only(run: Run, command: str) -> None:
    bits = noise(21, 27, 1, bits=1)
    result, _, depth, _ = decode(run(encode(bits, 0, 1), "a.png", command=command).read_bytes())
    if command == "median":
        assert depth == 1
        np.testing.assert_array_equal(result, median(bits))
    else:
        assert depth == 8
        np.testing.assert_array_equal(result, imrestore.mean(bits * np.uint8(255), 3, channel_axis=-1))


@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_of_grey_become_eight(run: Run, depth: int) -> None:
    pixels = noise(20, 23, 1, bits=depth)
    result, colour, got_depth, _ = decode(run(encode(pixels, 0, depth), "a.png").read_bytes())
    assert (colour, got_depth) == (0, 8)
    np.testing.assert_array_equal(result, median(pixels) * (255 // (2**depth - 1)))


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_becomes_colour(run: Run, transparent: bool, capsys: pytest.CaptureFixture[str]) -> None:
    palette, indices = noise(256, 3), noise(25, 31, 1)
    alpha = noise(256)
    chunks = [(b"PLTE", palette.tobytes())] + ([(b"tRNS", alpha.tobytes())] if transparent else [])
    result, colour, depth, _ = decode(run(encode(indices, 3, 8, *chunks), "a.png").read_bytes())
    assert (colour, depth) == (6 if transparent else 2, 8)
    np.testing.assert_array_equal(result[..., :3], median(palette[indices[..., 0]]))
    if transparent:
        np.testing.assert_array_equal(result[..., 3], alpha[indices[..., 0]])
    assert "palette was expanded" in capsys.readouterr().err


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)])
def test_a_transparent_colour_becomes_alpha(run: Run, colour: int, depth: int) -> None:
    samples = 3 if colour == 2 else 1
    pixels = noise(12, 14, samples, bits=depth)
    pixels[3:6, 2:9] = key = pixels[0, 0].copy()
    data = encode(pixels, colour, depth, (b"tRNS", key.astype(">u2").tobytes()))
    result, got_colour, got_depth, _ = decode(run(data, "a.png", "--size", "1").read_bytes())
    assert (got_colour, got_depth) == (6 if colour == 2 else 4, max(depth, 8))
    scale = 1 if depth >= 8 else 255 // (2**depth - 1)
    np.testing.assert_array_equal(result[..., :-1], pixels * scale)
    opaque = (pixels != key).any(axis=-1)
    np.testing.assert_array_equal(result[..., -1], np.where(opaque, 2 ** max(depth, 8) - 1, 0))


def test_png_chunks_that_describe_the_picture_stay_byte_for_byte(run: Run) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a leaf"
    kept = {
        b"gAMA": struct.pack(">I", 45455),
        b"pHYs": struct.pack(">IIB", 11811, 5905, 1),
        b"iCCP": b"sRGB\0\0" + zlib.compress(ICC),
        b"eXIf": exif.tobytes()[6:],
        b"tEXt": b"Title\0Quercus \xe9",
        b"zTXt": b"Comment\0\0" + zlib.compress(b"compressed"),
        b"iTXt": b"Author\0\0\0de\0Verfasser\0" + "Jörg 🌳".encode(),
    }
    dropped = {b"tIME": bytes([7, 230, 1, 1, 0, 0, 0]), b"bKGD": b"\0\0\0\0\0\0", b"sBIT": b"\5\5\5"}
    data = encode(noise(9, 8, 3), 2, 8, *kept.items(), *dropped.items())
    path = run(data, "a.png")
    assert decode(path.read_bytes())[3] == kept
    with Image.open(path) as image:
        assert image.getexif()[0x010E] == "a leaf"
        assert image.info["Author"] == "Jörg 🌳"


def jpeg(mode: str, **options: object) -> bytes:
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    y, x = np.mgrid[:48, :64]
    planes = np.stack([(x * 3 + y * i) % 256 for i in range(1, channels + 1)], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(planes[..., 0] if mode == "L" else planes, mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {"quality": 71}),
        ("RGB", {"quality": 35, "subsampling": "4:2:0"}),
        ("RGB", {"quality": 88, "subsampling": "4:2:2"}),
        ("RGB", {"quality": 97, "subsampling": "4:4:4", "progressive": True}),
        ("RGB", {"quality": 80, "keep_rgb": True}),
        ("CMYK", {"quality": 90}),
    ],
)
def test_jpeg_keeps_tables_subsampling_and_mode(run: Run, mode: str, options: dict[str, object]) -> None:
    data = jpeg(mode, **options)
    path = run(data, "a.jpg")
    with Image.open(io.BytesIO(data)) as before, Image.open(path) as after:
        assert after.mode == before.mode == mode
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
        for key in ("progressive", "adobe_transform"):
            assert after.info.get(key) == before.info.get(key)
        pixels = np.asarray(before)
        expected = imrestore.median(pixels, 3, channel_axis=None if mode == "L" else -1)
        again = io.BytesIO()
        Image.fromarray(expected, mode).save(again, "JPEG", **options)
        np.testing.assert_array_equal(np.asarray(after), np.asarray(Image.open(again)))


def test_jpeg_keeps_exif_profile_comment_xmp_iptc_and_density(run: Run) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 8, "camera"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:21 10:00:00"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x05\0\x04leaf\0"
    app13 = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    data = jpeg("RGB", exif=exif, icc_profile=ICC, comment=b"hello", xmp=xmp, dpi=(300, 300), extra=app13)
    with Image.open(io.BytesIO(data)) as before, Image.open(run(data, "a.jpg")) as after:
        assert after.info["icc_profile"] == ICC
        for key in ("exif", "comment", "xmp", "dpi", "photoshop"):
            assert after.info[key] == before.info[key]
        assert after.getexif().get_ifd(0x8769)[0x9003] == "2026:11:21 10:00:00"


def test_of_several_pictures_in_a_jpeg_the_first_is_taken(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    first, second = Image.fromarray(noise(16, 16, 3)), Image.fromarray(noise(16, 16, 3))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    with Image.open(run(buffer.getvalue(), "a.jpg")) as after:
        assert after.format == "JPEG"
    assert "only the first of several pictures" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["|b1", "<u1", ">u2", "<i4", "<i8", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_keeps_dtype_byte_order_and_memory_order(run: Run, code: str, order: str) -> None:
    array = np.asarray(noise(13, 17) % 2 if code == "|b1" else noise(13, 17), np.dtype(code), order=order)
    buffer = io.BytesIO()
    np.save(buffer, array)
    result = np.load(run(buffer.getvalue(), "a.npy"))
    assert result.dtype == array.dtype
    assert result.dtype.byteorder == array.dtype.byteorder
    assert result.flags.f_contiguous == (order == "F")
    np.testing.assert_array_equal(result, imrestore.median(array, 3))


@pytest.mark.parametrize(
    ("shape", "options", "keywords"),
    [
        ((20,), [], {}),
        ((9, 11, 3), [], {"channel_axis": -1}),
        ((9, 11, 4), [], {"channel_axis": -1}),
        ((9, 11, 3), ["--channel-axis", "none"], {}),
        ((3, 9, 11), ["--channel-axis", "0"], {"channel_axis": 0}),
        ((9, 11, 5), [], {}),
        ((9, 11, 5), ["--axes", "0,2", "--size", "3,5"], {"axes": (0, 2), "size": (3, 5)}),
        ((4, 5, 6, 7), [], {}),
    ],
)
def test_axes_of_arrays(run: Run, shape: tuple[int, ...], options: list[str], keywords: dict[str, object]) -> None:
    array = RNG.random(shape, dtype=np.float32)
    buffer = io.BytesIO()
    np.save(buffer, array)
    result = np.load(run(buffer.getvalue(), "a.npy", *options))
    np.testing.assert_array_equal(result, imrestore.median(array, **({"size": 3} | keywords)))


@pytest.mark.parametrize("target", ["b.png", "b.tif", "b.jpg"])
def test_profile_exif_and_density_go_along_into_another_format(run: Run, target: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a leaf"
    data = jpeg("RGB", exif=exif, icc_profile=ICC, dpi=(200, 100))
    path = run(data, "a.jpg", out=target)
    with Image.open(path) as after:
        assert after.info["icc_profile"] == ICC
        assert tuple(map(float, after.info["dpi"])) == pytest.approx((200, 100), abs=0.02)  # PNG counts per metre
        if target != "b.tif":
            assert after.getexif()[0x010E] == "a leaf"
        if target != "b.jpg":
            np.testing.assert_array_equal(np.asarray(after), median(np.asarray(Image.open(io.BytesIO(data)))))


@pytest.mark.parametrize(
    ("array", "target", "reason"),
    [
        (np.zeros((8, 8), np.float32), "b.png", "PNG cannot hold float32; write TIFF or NPY"),
        (np.zeros((8, 8), np.uint16), "b.jpg", "JPEG cannot hold uint16"),
        (np.zeros((8, 8, 4), np.uint8), "b.jpg", "JPEG cannot hold rgb pixels of shape"),
        (np.zeros((8, 8, 8), np.uint8), "b.tif", "TIFF pages need two axes"),
        (np.zeros((8, 8, 8), np.uint8), "b.png", "PNG cannot hold other pixels"),
    ],
)
def test_what_a_format_cannot_hold_is_an_error_and_leaves_no_file(
    tmp_path: Path, array: np.ndarray, target: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", array)
    assert main(["median", str(tmp_path / "a.npy"), "-o", str(tmp_path / target)]) == 1
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_the_header_is_checked_before_pixels_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(noise(100, 100, 1), 0, 8))
    with read(path, Limits(max_pixels=10_000)) as (kind, pages):
        assert (kind, next(pages).pixels.shape) == ("png", (100, 100))
    with read(path, Limits(max_pixels=9_999)) as (_, pages), pytest.raises(Exception, match="megapixels"):
        next(pages)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_every_png_filter_is_used_and_undone(
    run: Run, depth: int, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = RNG.integers(-1, 2, (60, 40, 3))  # small steps: the guesses of Paeth's predictor are often equally good
    between = RNG.integers(0, 255, (20, 40, 3))
    for y in range(1, 20):
        for x in range(1, 40):
            between[y, x] = (between[y, x - 1] + between[y - 1, x]) // 2 + RNG.integers(-2, 3)
    pieces = [
        RNG.integers(0, 3, (20, 40, 3)) * 100,  # none
        np.cumsum(RNG.integers(-9, 10, (20, 40, 3)), axis=1) + RNG.integers(0, 99, (20, 1, 3)),  # sub
        np.cumsum(RNG.integers(-9, 10, (20, 40, 3)), axis=0) + RNG.integers(0, 99, (1, 40, 3)),  # up
        np.cumsum(np.cumsum(steps, axis=0), axis=1),  # Paeth
        between,  # average
    ]
    pixels = (np.concatenate(pieces) & 255).astype(np.uint8)
    if depth == 16:
        pixels = pixels.astype(np.uint16) << 8 | pixels
    monkeypatch.setattr(png, "ROWS_AT_ONCE", rows_at_once * 40 * 3 * depth // 8)
    data = run(encode(pixels, 2, depth), "a.png", "--size", "1").read_bytes()
    np.testing.assert_array_equal(decode(data)[0], pixels)
    at, body = 33, b""
    while data[at + 4 : at + 8] != b"IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        body += data[at + 8 : at + 8 + length]
        at += 12 + length
    kinds = zlib.decompress(body)[:: 40 * 3 * depth // 8 + 1]
    assert set(kinds) == {0, 1, 2, 3, 4}
