"""``imrestore degrade``: files, what was drawn for them, alpha, wrong usage, and the contact sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imrestore import augment, degrade
from imrestore.cli import _gallery, _gallery_picture, main
from imrestore.cli._step_text import step_of
from imrestore.degrade import Chain, ColorNoise, GaussianBlur, GaussianNoise, OneOf, Resize, Step, Uniform

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(40, 200, (24, 32, 3)).astype(np.uint8)
VEIL = np.zeros((24, 32, 1), np.uint8)
VEIL[:, 16:] = 255
ALPHA = np.concatenate([COLOUR, VEIL], axis=2)


def picture(path: Path, pixels: np.ndarray = COLOUR) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def report(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, dict[str, Any], str]:
    code = main(["degrade", *map(str, argv), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out, parse_constant=pytest.fail), printed.err


@pytest.mark.parametrize("name", ["classical", "bsrgan", "real_esrgan"])
def test_chains_give_files_what_they_give_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    inputs = [picture(tmp_path / f"{letter}.png", COLOUR + k) for k, letter in enumerate("ab")]
    options = ("--chain", name, "--scale", 2, "--seed", 7, "--index", 40)
    code, body, err = report(capsys, *inputs, "-o", tmp_path / "out", *options)
    assert code == 0
    assert body["parameters"] == {"chain": name, "scale": 2, "seed": 7, "index": 40, "channel_axis": "auto"}
    chain = getattr(degrade, name)(2)
    for k, letter in enumerate("ab"):
        expected = chain(COLOUR + k, rng=7, index=40 + k, channel_axis=-1)
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{letter}.png"), expected)
        drawn = chain.draw((3, 24, 32), rng=7, index=40 + k, data_range=255)
        told = [{"step": step, "parameters": parameters} for step, parameters in drawn]
        assert body["files"][k]["draw"] == [json.loads(json.dumps(told))]
        assert f"{letter}.png: note: sample {40 + k} of seed 7: " in err


def test_steps_are_done_in_order_on_a_scale_where_white_is_255(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = ("GaussianBlur(Uniform(0.5, 2), mode='wrap')", "GaussianNoise((5, 25), grey=0.5)")
    chain = Chain([GaussianBlur(Uniform(0.5, 2), mode="wrap"), GaussianNoise((5, 25), grey=0.5)], white=255)
    deep = COLOUR[..., 0].astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    options = [word for step in steps for word in ("--step", step)]
    code, body, _ = report(capsys, tmp_path / "deep.tif", "-o", tmp_path / "out", *options)
    assert (code, body["parameters"]["step"], body["parameters"]["white"]) == (0, list(steps), 255)
    seed = body["parameters"]["seed"]  # a new one, and told
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "deep.tif"), chain(deep, rng=seed))
    names = [one["step"] for one in body["files"][0]["draw"][0]]
    assert names == ["GaussianBlur", "GaussianNoise"]
    sigma = body["files"][0]["draw"][0][1]["parameters"]["sigma"]
    assert 5 <= sigma <= 25  # in the steps' units
    again = report(capsys, tmp_path / "deep.tif", "-o", tmp_path / "out", *options, "--overwrite")[1]["parameters"]["seed"]
    assert again != seed


def test_white_and_data_range_for_floats_and_dark_cameras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = RNG.random((9, 11, 3), dtype=np.float32)
    np.save(tmp_path / "f.npy", values)
    argv = [str(tmp_path / "f.npy"), "-o", str(tmp_path / "out.npy"), "--step", "GaussianNoise(0.5)", "--seed", "3"]
    assert main(["degrade", *argv]) == 1
    assert "f.npy: --data-range is not given" in capsys.readouterr().err
    assert main(["degrade", *argv, "--data-range", "4095", "--white", "2"]) == 0
    expected = Chain([GaussianNoise(0.5)], white=2)(values, rng=3, channel_axis=-1, data_range=4095)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    np.save(tmp_path / "f.npy", np.moveaxis(values, -1, 0))
    assert main(["degrade", *argv, "--data-range", "4095", "--white", "2", "--overwrite"]) == 1
    assert "image has 3 axes" in capsys.readouterr().err
    assert main(["degrade", *argv, "--data-range", "4095", "--white", "2", "--overwrite", "--channel-axis", "0"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.moveaxis(expected, -1, 0))
    capsys.readouterr()
    argv = [tmp_path / "f.npy", "-o", tmp_path / "half.npy", "--step", "Resize(0.5)", "--data-range", 1, "--channel-axis=-3"]
    body = report(capsys, *argv)[1]
    assert body["files"][0]["draw"][0][0]["parameters"] == {"scale": 0.5, "height": 5, "width": 6, "method": "bicubic"}
    assert np.load(tmp_path / "half.npy").shape == (3, 5, 6)


def test_alpha_is_left_alone_moved_along_or_resized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = picture(tmp_path / "a.png", ALPHA), tmp_path / "b.png"

    def run(*steps: str) -> tuple[np.ndarray, list[str]]:
        words = [word for step in steps for word in ("--step", step)]
        code, body, _ = report(capsys, source, "-o", out, "--seed", 1, "--overwrite", *words)
        assert code == 0
        first = body["files"][0]["draw"][0][0]["parameters"]
        drawn = Chain([step_of(step) for step in steps], white=255).draw((3, 24, 32), rng=1, data_range=255)
        assert first == json.loads(json.dumps(drawn[0][1]))
        return read(out), body["files"][0]["notes"][1:]

    # Noise of three colours, which would be another for four.
    noisy, notes = run("ColorNoise(20)")
    np.testing.assert_array_equal(noisy[..., 3:], VEIL)
    expected = Chain([ColorNoise(20)], white=255)(COLOUR, rng=1, channel_axis=-1)
    np.testing.assert_array_equal(noisy[..., :3], expected)
    assert notes == []
    turned, _ = run("ColorNoise(20)", "Flip(p=1)")
    np.testing.assert_array_equal(turned, noisy[:, ::-1])
    small, notes = run("Resize(0.5)")
    np.testing.assert_array_equal(small[..., :3], Resize(0.5)(COLOUR, channel_axis=-1))
    np.testing.assert_array_equal(small[..., 3:], Resize(0.5, method="bilinear")(VEIL, channel_axis=-1))
    assert notes == ["alpha was resized to 12 x 16 with the image, and not damaged"]
    assert main(["degrade", source, "-o", str(out), "--overwrite", "--step", "Resize(0.5)", "--step", "Rotate(9)"]) == 1
    assert "alpha has 24 x 32 pixels where the image has 12 x 16" in capsys.readouterr().err


def test_pages_palettes_black_and_white_and_inks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = np.stack([COLOUR[..., 0]] * 2)
    tifffile.imwrite(tmp_path / "pages.tif", stack, photometric="minisblack")
    Image.fromarray(COLOUR).quantize(8).save(tmp_path / "palette.png")
    Image.fromarray(COLOUR[..., 0] > 100).save(tmp_path / "bits.png")
    tifffile.imwrite(tmp_path / "ink.tif", ALPHA, photometric="separated")
    argv = (*(tmp_path / name for name in ("pages.tif", "palette.png", "bits.png", "ink.tif")), "-o", tmp_path / "out")
    code, body, err = report(capsys, *argv, "--seed", 2, "--step", "GaussianNoise(Uniform(10, 20))")
    assert code == 0
    step = Chain([GaussianNoise(Uniform(10, 20))], white=255)
    pages = tifffile.imread(tmp_path / "out" / "pages.tif")
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(page, step(stack[number], rng=2, index=number * 2**32))
    assert (pages[0] != pages[1]).any()
    assert len(body["files"][0]["draw"]) == 2
    assert "sample 0 of seed 2 on page 0 (--json has the other pages): GaussianNoise(" in err
    palette = np.asarray(Image.open(tmp_path / "palette.png").convert("RGB"))
    np.testing.assert_array_equal(read(tmp_path / "out" / "palette.png"), step(palette, rng=2, index=1, channel_axis=-1))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "ink.tif"), step(ALPHA, rng=2, index=3, channel_axis=-1))
    grey = read(tmp_path / "bits.png").astype(np.uint8) * 255
    np.testing.assert_array_equal(read(tmp_path / "out" / "bits.png"), step(grey, rng=2, index=2))


def test_a_failed_or_skipped_file_keeps_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    picture(tmp_path / "b.png")
    picture(tmp_path / "c.png")
    argv = (tmp_path, "-o", tmp_path / "out", "--step", "GaussianNoise(20)", "--seed", 3)
    code, body, _ = report(capsys, *argv)
    assert (code, [file["status"] for file in body["files"]]) == (1, ["failed", "written", "written"])
    first = read(tmp_path / "out" / "c.png")
    (tmp_path / "out" / "c.png").unlink()
    code, body, _ = report(capsys, *argv, "--resume")
    assert [file["status"] for file in body["files"]] == ["failed", "skipped", "written"]
    np.testing.assert_array_equal(read(tmp_path / "out" / "c.png"), first)
    step = Chain([GaussianNoise(20)], white=255)
    np.testing.assert_array_equal(first, step(COLOUR, rng=3, index=2, channel_axis=-1))


CALLS = "it must be a call of a name in imrestore.degrade or imrestore.augment"
BAD_USAGE = [
    ([], "give --chain, --step or --gallery"),
    (["--chain", "esrgan"], "invalid choice"),
    (["--chain", "bsrgan", "--step", "GaussianNoise()"], "not allowed with"),
    (["--chain", "bsrgan", "--scale", "17"], "--scale is 17"),
    (["--chain", "bsrgan", "--scale", "2.5"], "invalid int"),
    (["--chain", "bsrgan", "--white", "1"], "--white goes with --step"),
    (["--chain", "bsrgan", "--seed", "-1"], "--seed is -1; it must be"),
    (["--chain", "bsrgan", "--index", str(2**64)], f"--index is {2**64}; it must be"),
    (["--chain", "bsrgan", "--image", "a.png"], "--image goes with --gallery"),
    (["--chain", "bsrgan", "--data-range", "0"], "data-range"),
    (["--chain", "bsrgan", "--volume"], "unrecognized arguments"),
    (["--chain", "bsrgan", "--threads", "0"], "--threads is 0"),
    (["--step", "GaussianNoise()", "--white", "inf"], "--white is inf"),
    (["--step", "GaussianNoise()", "--scale", "2"], "--scale goes with --chain"),
    (["--step", "GaussianNoise"], CALLS),
    (["--step", "GaussianNoise("], CALLS),
    (["--step", "Uniform(1, 2)"], CALLS),
    (["--step", "(" * 9999], CALLS),
    (["--step", "GaussianNoise(-1)"], "--step GaussianNoise(-1): sigma is -1; it must be"),
    (["--step", "GaussianNoise(sigmo=1)"], "unexpected keyword argument 'sigmo'"),
    (["--step", "GausianNoise(1)"], "did you mean GaussianNoise?"),
    (["--step", "__import__('os').system('touch x')"], "is in neither"),
    (["--step", "GaussianNoise(open)"], "open is no number, text, list or call"),
    (["--step", "GaussianNoise(9**9**9)"], "is no number, text, list or call"),
    (["--step", "GaussianNoise(*[1])"], "is no number, text, list or call"),
    (["--step", "GaussianNoise(**{})"], "** is not understood"),
    (["--step", "OneOf([GaussianNoise(), 3])"], "steps holds 3"),
    (["--step", "GaussianNoise(sigma=5, sigma=6)"], "GaussianNoise has sigma twice"),
    (["--gallery"], "--gallery needs -o DIR"),
]


@pytest.mark.parametrize(("options", "reason"), BAD_USAGE, ids=lambda value: str(value)[:40])
def test_wrong_usage_exits_2_and_writes_nothing(
    tmp_path: Path, options: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    assert main(["degrade", "a.png", "-o", "out", *options]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.startswith("usage: ") or said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_calls_are_read_as_python_reads_them() -> None:
    text = "OneOf([Resize(size=(9, 12), method='area'), Chain([GaussianBlur(Uniform(-0.0, 2))], white=1.5)], p=[0.25, 0.75])"
    chain = Chain([GaussianBlur(Uniform(0, 2))], white=1.5)
    assert step_of(text) == OneOf([Resize(size=(9, 12), method="area"), chain], p=[0.25, 0.75])


@pytest.mark.parametrize("package", [degrade, augment])
def test_every_public_step_is_on_a_sheet(package: Any) -> None:
    public = {getattr(package, name) for name in package.__all__}
    steps = {one.__name__ for one in public if isinstance(one, type) and issubclass(one, Step)} - {"Step"}
    sheets = _gallery.SHEETS.values()
    shown = {call.partition("(")[0] for sheet in sheets for calls in sheet.values() for call in calls}
    assert len(steps) > 15
    assert steps <= shown


def test_the_sheets_are_made_and_no_tile_is_blank_or_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[list[Any]] = []

    def kept(title: str, groups: list[Any], side: int) -> Any:
        made.append(groups)
        return _gallery_picture.contact_sheet(title, groups, side)

    monkeypatch.setattr(_gallery, "contact_sheet", kept)
    assert main(["degrade", "--gallery", "-o", str(tmp_path)]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [file.name for file in files] == ["degrade.png", "augment.png"]
    for file, groups in zip(files, made, strict=True):
        assert file.stat().st_size < 600_000
        height, width = read(file).shape
        assert width > _gallery_picture.COLUMNS * _gallery.SIDE
        assert height > len(groups) * _gallery.SIDE / 3
        clean = groups[0].tiles[0].image
        for group in groups:
            for tile in group.tiles[group is groups[0] :]:
                assert tile.image.std() > 10
                assert tile.image.shape != clean.shape or np.abs(tile.image - clean.astype(float)).mean() > 0.5, tile.name


def test_a_sheet_of_a_photograph_of_your_own_is_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_gallery, "SHEETS", {"degrade": {"Noise": ("ColorNoise(50)",)}})
    monkeypatch.setattr(_gallery, "CHAINS", ("bsrgan(4)",))
    y, x = np.mgrid[:20, :30]
    argv = ["degrade", "--gallery", "--image", picture(tmp_path / "grey.png", (x * 8 + y).astype(np.uint8)), "--threads", "1"]
    sheets = []
    for run in "ab":
        assert main([*argv, "-o", str(tmp_path / run), "--quiet"]) == 0
        sheets.append(read(tmp_path / run / "degrade.png"))
    np.testing.assert_array_equal(*sheets)
    assert capsys.readouterr().out == ""
    (tmp_path / "file").write_bytes(b"")
    picture(tmp_path / "dot.png", np.zeros((1, 1), np.uint8))
    no_file, small = "nothing.png: No such file", "dot.png: the photograph must be"
    for out, image, reason in (("file/x", "grey.png", "cannot write"), ("c", "nothing.png", no_file), ("c", "dot.png", small)):
        assert main(["degrade", "--gallery", "--image", str(tmp_path / image), "-o", str(tmp_path / out)]) == 2
        assert reason in capsys.readouterr().err
    for option in (["--json"], ["--report", str(tmp_path / "report.json")]):
        assert main([*argv, "-o", str(tmp_path / "c"), *option]) == 2
        assert "--json and --report tell of files" in capsys.readouterr().err


def test_groups_share_a_row_where_they_fit_and_small_pictures_grow_by_whole_pixels() -> None:
    grey = np.full((5, 3, 3), 9, np.uint8)
    groups = [_gallery_picture.Group(str(n), [_gallery_picture.Tile("", "", grey)] * n) for n in (10, 6, 1, 8)]
    rows = _gallery_picture._rows(groups)
    assert [len(row) for row in rows] == [8, 8, 1, 8]
    assert [[heading for _, heading in row if heading] for row in rows] == [["10"], ["6"], ["1"], ["8"]]
    tile = _gallery_picture._fitted(grey, 16)
    expected = np.full((16, 16, 3), _gallery_picture.EMPTY)
    expected[0:15, 3:12] = 9
    np.testing.assert_array_equal(tile, expected)
