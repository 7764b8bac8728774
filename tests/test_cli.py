"""The ``imrestore`` command in this process: options, names, reports, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imrestore
from imrestore.cli import main

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 255, (24, 31)).astype(np.uint8)
FLOAT = RNG.random((24, 31), dtype=np.float32)


def picture(path: Path, pixels: np.ndarray = GREY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


MASK = np.zeros((24, 31), bool)
MASK[3:20, 5:28] = True
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


@pytest.mark.parametrize(
    ("command", "options", "keywords"),
    [
        ("mean", "", {}),
        ("mean", "--size 5", {"size": 5}),
        ("mean", "--size 3,5", {"size": (3, 5)}),
        ("mean", "--size 5 --mode wrap", {"size": 5, "mode": "wrap"}),
        ("mean", "--mode constant --cval 0.25", {"mode": "constant", "cval": 0.25}),
        ("mean", "--axes 0", {"axes": 0}),
        ("mean", "--axes 1,0 --size 3,7", {"axes": (1, 0), "size": (3, 7)}),
        ("mean", "--nan-policy omit", {"nan_policy": "omit"}),
        ("mean", "--where MASK --size 7", {"where": MASK, "size": 7}),
        ("mean", "--axes=-2,-1", {"axes": (-2, -1)}),
        ("gaussian", "", {}),
        ("gaussian", "--sigma 2.5", {"sigma": 2.5}),
        ("gaussian", "--sigma 1,0", {"sigma": (1.0, 0.0)}),
        ("gaussian", "--sigma 2 --truncate 1.5 --mode mirror", {"sigma": 2.0, "truncate": 1.5, "mode": "mirror"}),
        ("gaussian", "--sigma 2 --radius 3", {"sigma": 2.0, "radius": 3}),
        ("gaussian", "--sigma 2 --radius 3,1", {"sigma": 2.0, "radius": (3, 1)}),
        ("bilateral", "--sigma-color 0.2 --sigma-space 1.5", {"sigma_color": 0.2, "sigma_space": 1.5}),
        ("bilateral", "--sigma-color 1 --sigma-space 1,0 --truncate 3",
         {"sigma_color": 1.0, "sigma_space": (1.0, 0.0), "truncate": 3.0}),
        ("bilateral", "--sigma-color 1 --sigma-space 2 --radius 3,1 --mode wrap",
         {"sigma_color": 1.0, "sigma_space": 2.0, "radius": (3, 1), "mode": "wrap"}),
        ("bilateral", "--sigma-color 1 --sigma-space 1 --where MASK --nan-policy omit",
         {"sigma_color": 1.0, "sigma_space": 1.0, "where": MASK, "nan_policy": "omit"}),
        ("guided", "--eps 0.05", {"eps": 0.05}),
        ("guided", "--eps 0.05 --axes 1", {"eps": 0.05, "axes": 1}),
        ("bilateral", "--sigma-color 0.2 --sigma-space 1 --axes 0", {"sigma_color": 0.2, "sigma_space": 1.0, "axes": 0}),
        ("guided", "--eps 0.01 --radius 2 --mode wrap", {"eps": 0.01, "radius": 2, "mode": "wrap"}),
        ("guided", "--eps 400 --radius 3,1 --guide MASK", {"eps": 400.0, "radius": (3, 1), "guide": MASK.astype(np.uint8) * 255}),
        ("nl_means", "--patch-distance 2", {"patch_distance": 2}),
        ("nl_means", "--sigma 0.1 --patch-distance 2", {"sigma": 0.1, "patch_distance": 2}),
        ("nl_means", "--sigma 0.1 --h 0.3 --patch-size 4 --patch-distance 3,1",
         {"sigma": 0.1, "h": 0.3, "patch_size": 4, "patch_distance": (3, 1)}),
        ("nl_means", "--sigma 0.1 --patch-size 3,5 --patch-distance 2 --patch-weights gaussian --mode mirror",
         {"sigma": 0.1, "patch_size": (3, 5), "patch_distance": 2, "patch_weights": "gaussian", "mode": "mirror"}),
        ("nl_means", "--sigma 0.1 --patch-distance 2 --where MASK", {"sigma": 0.1, "patch_distance": 2, "where": MASK}),
        ("median", "", {}),
        ("median", "--size 4", {"size": 4}),
        ("median", "--rank 0 --size 5", {"rank": 0, "size": 5}),
        ("median", "--rank -2", {"rank": -2}),
        ("median", "--percentile 30 --size 5", {"percentile": 30, "size": 5}),
        ("median", "--percentile 12.5", {"percentile": 12.5}),
        ("median", "--footprint CROSS", {"footprint": CROSS}),
        ("median", "--mode nearest --where MASK", {"mode": "nearest", "where": MASK}),
        ("median", "--mode constant --cval=-inf", {"mode": "constant", "cval": -np.inf}),
    ],
)  # fmt: skip
def test_options_are_the_keywords_of_the_function(
    tmp_path: Path, command: str, options: str, keywords: dict[str, Any]
) -> None:
    image = FLOAT.copy()
    if "nan" in options:
        image[7, 9] = np.nan
    picture(tmp_path / "a.npy", image)
    np.save(tmp_path / "CROSS.npy", CROSS)
    picture(tmp_path / "MASK.png", MASK)
    given = options.replace("MASK", f"{tmp_path}/MASK.png").replace("CROSS", f"{tmp_path}/CROSS.npy").split()
    assert main([command, *given, str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), getattr(imrestore, command)(image, **keywords))


def test_a_mask_applies_to_every_channel_but_alpha(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (24, 31, 4)).astype(np.uint8)
    picture(tmp_path / "a.png", pixels)
    picture(tmp_path / "mask.png", MASK)
    argv = ["median", str(tmp_path / "a.png"), "--where", str(tmp_path / "mask.png"), "-o", str(tmp_path / "b.png")]
    assert main(argv) == 0
    expected = imrestore.median(pixels[..., :3], 3, channel_axis=-1, where=MASK[..., None])
    result = np.asarray(Image.open(tmp_path / "b.png"))
    np.testing.assert_array_equal(result[..., :3], expected)
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])


@pytest.mark.parametrize("command", ["nl_means --sigma 20 --patch-distance 2", "bilateral --sigma-color 60 --sigma-space 1"])
def test_colours_are_compared_together_and_alpha_is_not_looked_at(tmp_path: Path, command: str) -> None:
    pixels = RNG.integers(0, 255, (24, 31, 4)).astype(np.uint8)
    picture(tmp_path / "a.png", pixels)
    name, *options = command.split()
    assert main([name, str(tmp_path / "a.png"), *options, "-o", str(tmp_path / "b.png")]) == 0
    keywords = {option[2:].replace("-", "_"): int(value) for option, value in zip(options[::2], options[1::2], strict=True)}
    result = np.asarray(Image.open(tmp_path / "b.png"))
    expected = getattr(imrestore, name)(np.ascontiguousarray(pixels[..., :3]), channel_axis=-1, **keywords)
    np.testing.assert_array_equal(result[..., :3], expected)
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])


BAD_USAGE = [
    ("", "required"),
    ("sharpen a.png -o out", "invalid choice"),
    ("mean -o out", "required"),
    ("mean a.png", "give either -o OUT or --in-place"),
    ("mean a.png -o out --in-place", "give either -o OUT or --in-place"),
    ("mean a.png -o out --overwrite --resume", "not allowed with"),
    ("mean a.png -o out --size 0", "--size is 0"),
    ("mean a.png -o out --size -3", "--size is -3"),
    ("mean a.png -o out --size 3,", "size"),
    ("mean a.png -o out --size 2.5", "size"),
    ("mean a.png -o out --size 40000", "--size is 40000"),
    ("mean a.png -o out --size nan", "size"),
    ("mean a.png -o out --sigma 2", "unrecognized arguments"),
    ("mean a.png -o out --rank 2", "unrecognized arguments"),
    ("mean a.png -o out --siz 3", "unrecognized arguments"),
    ("mean a.png -o out --mode circular", "--mode is 'circular'"),
    ("mean a.png -o out --nan-policy ignore", "--nan-policy is 'ignore'"),
    ("mean a.png -o out --cval much", "cval"),
    ("mean a.png -o out --threads 0", "--threads is 0"),
    ("mean a.png -o out --threads 9999", "--threads is 9999"),
    ("mean a.png -o out --max-pixels 0", "max-pixels"),
    ("mean a.png -o out --max-pixels many", "max-pixels"),
    ("mean a.png -o out --max-ratio -1", "max-ratio"),
    ("mean a.png -o out --report report.png", "--report is 'report.png'"),
    ("mean a.png -o out --where nothing.png", "error: --where nothing.png: No such file"),
    ("mean a.png -o out --where rgb.png", "error: --where rgb.png: a mask or footprint must be one grey picture"),
    ("gaussian a.png -o out --sigma -1", "--sigma is -1"),
    ("gaussian a.png -o out --sigma nan", "--sigma is nan"),
    ("gaussian a.png -o out --sigma 1e9", "--sigma is 1000000000.0"),
    ("gaussian a.png -o out --truncate 0", "--truncate is 0"),
    ("gaussian a.png -o out --radius -1", "--radius is -1"),
    ("bilateral a.png -o out", "required: --sigma-color, --sigma-space"),
    ("bilateral a.png -o out --sigma-color 5", "required: --sigma-space"),
    ("bilateral a.png -o out --sigma-color 0 --sigma-space 1", "--sigma-color is 0"),
    ("bilateral a.png -o out --sigma-color nan --sigma-space 1", "--sigma-color is nan"),
    ("bilateral a.png -o out --sigma-color 1,2 --sigma-space 1", "--sigma-color"),
    ("bilateral a.png -o out --sigma-color 5 --sigma-space -1", "--sigma-space is -1"),
    ("bilateral a.png -o out --sigma-color 5 --sigma-space 1e9", "--sigma-space is 1000000000.0"),
    ("bilateral a.png -o out --sigma-color 5 --sigma-space 1 --radius 1025", "--radius is 1025"),
    ("bilateral a.png -o out --sigma-color 5 --sigma-space 1 --truncate 0", "--truncate is 0"),
    ("nl_means a.png -o out --sigma -1", "--sigma is -1"),
    ("nl_means a.png -o out --sigma inf", "--sigma is inf"),
    ("nl_means a.png -o out --h 0", "--h is 0"),
    ("nl_means a.png -o out --patch-size 0", "--patch-size is 0"),
    ("nl_means a.png -o out --patch-size 65", "--patch-size is 65"),
    ("nl_means a.png -o out --patch-size 2.5", "patch-size"),
    ("nl_means a.png -o out --patch-distance -1", "--patch-distance is -1"),
    ("nl_means a.png -o out --patch-distance 1025", "--patch-distance is 1025"),
    ("nl_means a.png -o out --patch-weights flat", "--patch-weights is 'flat'"),
    ("nl_means a.png -o out --radius 2", "unrecognized arguments"),
    ("guided a.png -o out", "--eps"),
    ("guided a.png -o out --eps 0", "--eps is 0"),
    ("guided a.png -o out --eps nan", "--eps is nan"),
    ("guided a.png -o out --eps 1 --radius -1", "--radius is -1"),
    ("guided a.png -o out --eps 1 --radius 2000", "--radius is 2000"),
    ("guided a.png -o out --eps 1 --guide nothing.png", "error: --guide nothing.png: No such file"),
    ("median a.png -o out --percentile 101", "--percentile is 101"),
    ("median a.png -o out --percentile nan", "--percentile is nan"),
    ("median a.png -o out --rank 1 --percentile 50", "only one of the two"),
    ("median a.png -o out --footprint nothing.npy", "error: --footprint nothing.npy: No such file"),
    ("demo --image nothing.png", "No such file"),
    ("demo --image flat.npy", "the photograph must be"),
    ("demo --threads 0", "--threads is 0"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_USAGE)
def test_wrong_usage_exits_2_and_writes_nothing(
    tmp_path: Path, line: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    picture(tmp_path / "rgb.png", np.zeros((5, 5, 3), np.uint8))
    picture(tmp_path / "flat.npy", FLOAT)
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "None" not in said
    assert names(tmp_path) == ["a.png", "flat.npy", "rgb.png"]
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_only_the_image_can_refuse_fails_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "a.png")
    for options, reason in ((["--size", "3,5,7"], "--size has 3 values"), (["--axes", "4"], "--axes is 4")):
        assert main(["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *options]) == 1
        assert f"a.png: {reason}" in capsys.readouterr().err
    argv = ["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--mode", "constant", "--cval", "0.5"]
    assert main(argv) == 1
    assert "a.png: --cval is 0.5; it must be a whole number from 0 to 255" in capsys.readouterr().err
    assert names(tmp_path) == ["a.png"]


def test_files_folders_and_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "in"
    for name in ("b.PNG", "c.tif", "sub/d.png", "sub/deep/e.jpg", ".hidden.png", ".cache/f.png", "x1.npy", "x2.npy"):
        picture(root / name)
    (root / "notes.txt").write_text("no image")
    out = tmp_path / "flat"
    assert main(["median", str(root), "-o", str(out)]) == 0
    assert names(out) == ["b.PNG", "c.tif", "x1.npy", "x2.npy"]
    out = tmp_path / "deep"
    assert main(["median", "-r", str(root), "-o", str(out)]) == 0
    assert names(out) == ["b.PNG", "c.tif", "sub/d.png", "sub/deep/e.jpg", "x1.npy", "x2.npy"]
    out = tmp_path / "pattern"
    assert main(["median", f"{root}/x?.npy", f"{root}/**/*.jpg", "-o", str(out)]) == 0
    assert names(out) == ["e.jpg", "x1.npy", "x2.npy"]
    out = tmp_path / "lost"
    (root / "empty").mkdir()
    argv = ["median", f"{root}/no*.png", f"{root}/empty", f"{root}/gone.png", f"{root}/notes.txt", f"{root}/b.PNG"]
    capsys.readouterr()
    assert main([*argv, "-o", str(out)]) == 1
    said = capsys.readouterr()
    for reason in ("nothing matches the pattern", "holds no image", "no such file or folder", "unknown kind of file"):
        assert reason in said.err
    assert said.out.startswith("1 of 5 files written, 4 failed")
    assert names(out) == ["b.PNG"]


def test_results_inside_the_input_folder_are_no_input(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    argv = ["median", "-r", str(tmp_path), "-o", str(tmp_path / "out"), "--overwrite"]
    assert main(argv) == 0
    assert main(argv) == 0
    assert names(tmp_path) == ["a.png", "out/a.png"]


def test_one_input_may_have_a_file_name_as_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert main(["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "new/folder/c.tif")]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new/folder/c.tif")), imrestore.mean(GREY, 3))
    assert main(["mean", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "-o", str(tmp_path / "d.png")]) == 2
    assert "names one file, but the input is several" in capsys.readouterr().err
    assert main(["mean", str(tmp_path), "-o", str(tmp_path / "d.png")]) == 2
    assert main(["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "d.gif/")]) == 0
    assert (tmp_path / "d.gif/a.png").is_file()
    (tmp_path / "text").write_text("")
    assert main(["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "text")]) == 2
    assert "neither a folder nor an image file" in capsys.readouterr().err


def test_an_input_is_only_replaced_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = picture(tmp_path / "a.png")
    before = path.read_bytes()
    for out in (path, tmp_path, tmp_path / "x/.."):
        assert main(["mean", str(path), "-o", str(out), "--overwrite"]) == 2
        assert "is an input" in capsys.readouterr().err
    (tmp_path / "link.png").symlink_to("a.png")
    os.link(path, tmp_path / "hard.png")
    for name in ("link.png", "hard.png"):
        assert main(["mean", str(path), "-o", str(tmp_path / name), "--overwrite"]) == 2
    assert path.read_bytes() == before
    path.chmod(0o640)
    assert main(["mean", str(tmp_path / "link.png"), str(path), "--in-place"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(path)), imrestore.mean(GREY, 3))  # once, not twice
    assert (tmp_path / "link.png").is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "hard.png").read_bytes() == before


def test_existing_results_need_overwrite_or_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
    old = tmp_path / "out" / "a.png"
    old.parent.mkdir()
    old.write_bytes(b"mine")
    argv = ["mean", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert main(argv) == 1
    assert "a.png exists; --overwrite replaces it, --resume skips it" in capsys.readouterr().err
    assert old.read_bytes() == b"mine"
    assert main([*argv, "--resume"]) == 0
    assert capsys.readouterr().out.startswith("0 of 2 files written, 2 skipped")
    assert old.read_bytes() == b"mine"
    assert main([*argv, "--overwrite"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(old)), imrestore.mean(GREY, 3))


def test_overwriting_a_link_replaces_the_link_not_its_target(tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "precious.png").write_bytes(b"precious")
    (tmp_path / "out/a.png").symlink_to("../precious.png")
    assert main(["mean", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert main(["mean", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--overwrite"]) == 0
    assert (tmp_path / "precious.png").read_bytes() == b"precious"
    assert not (tmp_path / "out/a.png").is_symlink()


def test_a_linked_folder_does_not_lead_out_of_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in/sub/a.png")
    picture(tmp_path / "in/b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/sub").symlink_to("../elsewhere")
    assert main(["mean", "-r", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert "would leave the output folder" in capsys.readouterr().err
    assert names(tmp_path / "elsewhere") == []
    assert (tmp_path / "out/b.png").is_file()


@pytest.mark.parametrize(("first", "second"), [("x/a.png", "y/a.png"), ("x/a.png", "y/A.PNG"), ("x/ß.png", "y/SS.png")])
def test_two_inputs_with_one_output_name_are_refused(
    tmp_path: Path, first: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(picture(tmp_path / name)) for name in (first, second)]
    assert main(["mean", *paths, "-o", str(tmp_path / "out")]) == 2
    assert "would both become" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_input_named_twice_is_filtered_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(picture(tmp_path / "a.png"))
    assert main(["mean", path, path, str(tmp_path), f"{tmp_path}/./a.png", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("1 of 1 files written")


def test_odd_file_names_are_written_and_shown_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = ["-rf.png", "a b.png", "über 🌳.png", "new\nline.png", "\x1b[31mred.png", "x" * 251 + ".png"]
    for name in good:
        picture(tmp_path / "in" / name)
    os.rename(picture(tmp_path / "in/plain.png"), os.fsencode(tmp_path / "in") + b"/\xff.png")
    (tmp_path / "in/\x1b[2Jbad.png").write_bytes(b"")
    assert main(["mean", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]) == 1
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["counts"] == {"written": 7, "skipped": 0, "failed": 1, "not_started": 0}
    assert "\x1b" not in said.err + said.out
    assert "\\x1b[2Jbad.png: the file is empty" in said.err
    assert sorted(names(tmp_path / "out")) == sorted([*good, os.fsdecode(b"\xff.png")])


def test_json_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in/a.png")
    picture(tmp_path / "in/b.npy", FLOAT)
    (tmp_path / "in/c.tif").write_bytes(b"II*\0")
    path = tmp_path / "report.json"
    argv = ["gaussian", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--sigma", "1,2", "--cval", "inf"]
    assert main([*argv, "--threads", "1", "--json", "--report", str(path)]) == 1
    said = capsys.readouterr().out
    report = json.loads(said, parse_constant=pytest.fail)  # strict: no NaN, no Infinity
    assert json.loads(path.read_text()) == report
    assert report["schema"] == "imrestore.report/1"
    assert (report["command"], report["threads"], report["version"]) == ("gaussian", 1, imrestore.__version__)
    assert report["parameters"] == {"sigma": [1.0, 2.0], "cval": "inf"}
    assert report["counts"] == {"written": 2, "skipped": 0, "failed": 1, "not_started": 0}
    assert report["interrupted"] is False
    first, second, third = report["files"]
    assert first["input"] == str(tmp_path / "in/a.png")
    assert first["output"] == str(tmp_path / "out/a.png")
    assert (first["status"], first["shape"], first["dtype"], first["pages"]) == ("written", [24, 31], "uint8", 1)
    assert 0 < first["filter_seconds"] <= first["seconds"] <= report["seconds"]
    assert (second["dtype"], second["error"]) == ("float32", None)
    assert (third["status"], third["shape"]) == ("failed", None)
    assert third["error"]


def test_quiet_says_errors_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in/a.png")
    assert main(["mean", "-q", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    assert tuple(capsys.readouterr()) == ("", "")
    (tmp_path / "in/b.png").write_bytes(b"")
    assert main(["mean", "-q", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--overwrite"]) == 1
    assert tuple(capsys.readouterr()) == ("", f"imrestore: {tmp_path}/in/b.png: the file is empty\n")


def test_a_full_disk_is_one_line_per_file_and_no_file(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", RNG.integers(0, 255, (200, 200)).astype(np.uint8))
    picture(tmp_path / "b.png", np.zeros((20, 20), np.uint8))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from imrestore.cli import main; import imrestore, numpy; imrestore.mean(numpy.zeros((9, 9), numpy.uint8));"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); sys.exit(main(sys.argv[1:]))"
    )
    argv = ["mean", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "-o", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a.png: File too large" in done.stderr or "a.png: cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path / "out") == ["b.png"]


def test_info_names_versions_threads_processor_gpu_and_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["imrestore"] == imrestore.__version__
    assert facts["threads"] == imrestore.get_num_threads()
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["gpu"]["devices"] or facts["gpu"]["reason"]
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("Python", "processor", "threads", "GPU", "compiled", "numba"):
        assert word in text


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"imrestore {imrestore.__version__}\n"
    assert main(["median", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--size", "--footprint", "--percentile", "--where", "--in-place", "--max-pixels", "exit codes"):
        assert option in text


def test_a_file_where_a_folder_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in/sub/a.png")
    picture(tmp_path / "in/b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").write_text("in the way")
    argv = ["mean", "-r", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert main([*argv, "--report", str(tmp_path / "out/sub/r.json")]) == 1
    said = capsys.readouterr().err
    assert "sub/a.png has a file where its folder should be" in said
    assert "r.json: " in said
    assert names(tmp_path / "out") == ["b.png", "sub"]
    argv = ["mean", str(tmp_path / "in/b.png"), "-o", f"{tmp_path}/c/"]
    assert main([*argv, "--report", f"{tmp_path}/out/sub/r.json"]) == 1
    assert "r.json: " in capsys.readouterr().err
