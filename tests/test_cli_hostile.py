"""Files nobody should have to open: one line each, no traceback, no output, little memory, no time."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imrestore.cli import main
from tests.hostile_files import hostile, saved


def test_every_hostile_file_is_one_line_in_a_process_with_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    cases = list(hostile())
    for name, content, _ in cases:
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    (folder / "dangling.png").symlink_to("nowhere.png")
    np.save(folder / "good.npy", np.ones((5, 5), np.float32))
    os.mkfifo(folder / "pipe.png")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "imrestore", "median", str(folder), "-o", str(tmp_path / "out"), "--json"],
        capture_output=True, text=True, check=False, timeout=60,
        # Four GiB of addresses: the files promise from 0.4 to 10^13 GiB of pixels; the interpreter itself takes two.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )  # fmt: skip
    assert time.perf_counter() - start < 30
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    expected = {name: pattern for name, _, pattern in cases} | {
        "dangling.png": "No such file",
        "pipe.png": "not a regular file",
    }
    assert len(expected) >= 25
    seen = {Path(file["input"]).name: file for file in report["files"]}
    assert seen.pop("good.npy")["status"] == "written"
    assert seen.keys() == expected.keys()
    for name, pattern in expected.items():
        assert seen[name]["status"] == "failed", name
        assert re.search(pattern, seen[name]["error"]), (name, seen[name]["error"])
        assert "\n" not in seen[name]["error"]
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"imrestore: {folder / name}: ")]
        assert len(lines) == 1, name
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.npy"]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_written_or_refused(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 255, (40, 33, 3)).astype(np.uint8)
    grey16 = colour[..., 0].astype(np.uint16)
    whole = {
        "rgb.png": saved(colour, "png"),
        "grey16.png": saved(grey16, "png"),
        "baseline.jpg": saved(colour, "JPEG"),
        "progressive.jpg": saved(colour, "JPEG", progressive=True),
        "strips.tif": saved(colour, "tiff"),
        "tiles.tif": saved(grey16, "tiff", compression="zlib", predictor=True, tile=(16, 16)),
        "imagej.tif": saved(grey16, "tiff", imagej=True),
        "plain.npy": saved(colour, "npy"),
    }
    (tmp_path / "in").mkdir()
    for name, content in whole.items():
        for i in range(40):
            data = bytearray(content)
            for at in rng.integers(0, min(len(data), 400), rng.integers(1, 5)):
                data[at] = rng.integers(0, 256)
            (tmp_path / "in" / f"{i}_{name}").write_bytes(data)
    argv = ["median", "--size", "1", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--max-pixels", "1M", "--json"]
    assert main(argv) == 1
    report = json.loads(capsys.readouterr().out)
    # The damage is neither harmless nor always fatal; nothing else can have happened to a file.
    assert report["counts"]["written"] + report["counts"]["failed"] == len(whole) * 40
    assert min(report["counts"]["written"], report["counts"]["failed"]) > 30
    written = [Path(file["output"]).name for file in report["files"] if file["status"] == "written"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(written)
    assert all("\n" not in file["error"] for file in report["files"] if file["status"] == "failed")
