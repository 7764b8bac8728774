"""The command as a process: start-up, signals, terminals, killed and broken batches, the demo."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import imrestore
from imrestore.cli import _demo

COMMAND = [sys.executable, "-m", "imrestore"]
HEAVY = ("numba", "llvmlite", "scipy", "skimage", "cupy", "torch", "dask", "PIL", "tifffile", "rich")


def start(*argv: object, **options: object) -> subprocess.Popen[str]:
    """The command, which hears Ctrl-C even where whoever started the tests ignores it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    earlier = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen([*COMMAND, *map(str, argv)], text=True, **pipes)
    finally:
        signal.signal(signal.SIGINT, earlier)


def pictures(folder: Path, count: int, side: int = 24) -> dict[str, np.ndarray]:
    """`count` noisy pictures, and what the median makes of each."""
    folder.mkdir()
    rng = np.random.default_rng(6)
    expected = {}
    for i in range(count):
        pixels = rng.integers(0, 255, (side, side, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png", compress_level=1)
        expected[f"{i:03}.png"] = imrestore.median(pixels, 3, channel_axis=-1)
    return expected


def wait_for_files(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not folder.is_dir() or len(os.listdir(folder)) < count:
        assert process.poll() is None, "the batch ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def all_whole(folder: Path, expected: dict[str, np.ndarray]) -> int:
    """Every file of the folder is complete and right, and there is no other; their number."""
    found = os.listdir(folder)
    for name in found:
        with Image.open(folder / name) as image:
            np.testing.assert_array_equal(np.asarray(image), expected[name])
    return len(found)


@pytest.mark.parametrize("after", [1, 17])
def test_kill_9_leaves_whole_files_only_and_resume_finishes(tmp_path: Path, after: int) -> None:
    expected = pictures(tmp_path / "in", 50, side=250)
    out = tmp_path / "out"
    process = start("median", tmp_path / "in", "-o", out)
    wait_for_files(out, after, process)
    process.kill()
    process.communicate()
    done = all_whole(out, expected)
    assert after <= done < 50
    before = {name: (out / name).stat().st_mtime_ns for name in os.listdir(out)}
    process = start("median", tmp_path / "in", "-o", out, "--resume", "--json")
    report = json.loads(process.communicate()[0])
    assert process.returncode == 0
    assert (report["counts"]["written"], report["counts"]["skipped"]) == (50 - done, done)
    assert all_whole(out, expected) == 50
    assert all((out / name).stat().st_mtime_ns == when for name, when in before.items())


def test_without_anonymous_files_a_kill_leaves_only_a_part_file(tmp_path: Path) -> None:
    expected = pictures(tmp_path / "in", 50, side=250)
    out = tmp_path / "out"
    code = "import os, sys; del os.O_TMPFILE; from imrestore.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "median", str(tmp_path / "in"), "-o", str(out)]
    process = subprocess.Popen(argv, text=True)
    wait_for_files(out, 5, process)
    process.kill()
    process.communicate()
    parts = [path for path in out.iterdir() if path.suffix == ".part"]
    assert len(parts) <= 1
    for part in parts:
        part.unlink()
    assert 4 <= all_whole(out, expected) < 50
    assert subprocess.run([*argv, "--resume"], check=False).returncode == 0
    assert all_whole(out, expected) == 50


def test_ctrl_c_once_stops_after_the_current_file(tmp_path: Path) -> None:
    expected = pictures(tmp_path / "in", 50, side=250)
    process = start("median", tmp_path / "in", "-o", tmp_path / "out", "--json")
    wait_for_files(tmp_path / "out", 3, process)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate()
    assert process.returncode == 130
    assert "stopping after this file" in errors
    assert "Traceback" not in errors
    report = json.loads(said)
    assert report["interrupted"] is True
    counts = report["counts"]
    assert counts["failed"] == 0
    assert counts["not_started"] > 0
    assert all_whole(tmp_path / "out", expected) == counts["written"] == 50 - counts["not_started"]


def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    # One file that takes long to write: 60 megapixels of noise.
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(7).integers(0, 255, (6000, 10000)).astype(np.uint8)
    np.save(tmp_path / "in" / "a.npy", noise)
    process = start("mean", "--size", 1, tmp_path / "in" / "a.npy", "-o", tmp_path / "out" / "a.png")
    deadline = time.monotonic() + 120
    while not (tmp_path / "out").is_dir():  # made when the output is opened
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    presses = 0
    while process.poll() is None:  # two that arrive within one call into C count as one
        process.send_signal(signal.SIGINT)
        presses += 1
        time.sleep(0.2)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert presses >= 2
    assert "Traceback" not in errors
    assert os.listdir(tmp_path / "out") == []  # it did not wait for the end of the file


def test_a_hundred_files_of_which_three_are_bad(tmp_path: Path) -> None:
    expected = pictures(tmp_path / "in", 100)
    bad = {"013.png": b"", "050.png": b"\x89PNG\r\n\x1a\n and nothing", "099.png": None}
    for name, content in bad.items():
        path = tmp_path / "in" / name
        path.write_bytes(path.read_bytes()[:700] if content is None else content)
    process = start("median", tmp_path / "in", "-o", tmp_path / "out", "--json", "--report", tmp_path / "r.json")
    said, errors = process.communicate()
    assert process.returncode == 1
    report = json.loads(said)
    assert json.loads((tmp_path / "r.json").read_text()) == report
    assert report["counts"] == {"written": 97, "skipped": 0, "failed": 3, "not_started": 0}
    assert {Path(f["input"]).name for f in report["files"] if f["status"] == "failed"} == set(bad)
    assert all_whole(tmp_path / "out", {n: p for n, p in expected.items() if n not in bad}) == 97
    lines = errors.splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("imrestore: 3 files failed: ")
    assert all(name in lines[-1] for name in bad)


def test_a_file_that_vanishes_meanwhile_is_one_failure(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 50, side=250)
    process = start("median", tmp_path / "in", "-o", tmp_path / "out", "--json")
    wait_for_files(tmp_path / "out", 1, process)
    (tmp_path / "in" / "049.png").unlink()
    report = json.loads(process.communicate()[0])
    assert process.returncode == 1
    assert (report["counts"]["written"], report["counts"]["failed"]) == (49, 1)
    assert report["files"][-1]["error"] == "No such file or directory"


@pytest.mark.parametrize("argv", [["info"], ["mean", "IN", "-o", "OUT", "--json"]])
def test_a_closed_pipe_ends_it_quietly(tmp_path: Path, argv: list[str]) -> None:
    pictures(tmp_path / "in", 2)
    words = [{"IN": str(tmp_path / "in"), "OUT": str(tmp_path / "out")}.get(word, word) for word in argv]
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*words, stdout=writing)
    os.close(writing)
    errors = process.communicate()[1]
    assert process.returncode == 141
    assert errors == ""


def on_terminal(argv: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output, and what appeared on a terminal that is standard error."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "300"}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=slave, text=True, env=environment)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO is how a terminal says that nobody writes to it any more
        while chunk := os.read(master, 65536):
            shown += chunk
    os.close(master)
    said, _ = process.communicate()
    return process.returncode, said, shown.decode()


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "[" / "]"  # "[/]" is an error in rich's markup unless it is escaped
    folder.parent.mkdir()
    pictures(folder, 6)
    (folder / "bad.png").write_bytes(b"")
    argv = [*COMMAND, "median", str(folder), "-o", str(tmp_path / "out"), "--overwrite"]
    code, said, shown = on_terminal(argv)
    assert code == 1
    assert "Traceback" not in shown
    assert "━" in shown
    assert re.search(r"\d/7", shown)
    assert f"imrestore: {folder}/bad.png: the file is empty" in shown
    assert said.startswith("6 of 7 files written, 1 failed")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stderr == f"imrestore: {folder}/bad.png: the file is empty\n"
    assert done.stdout.startswith("6 of 7 files written, 1 failed")


def test_start_up_loads_nothing_heavy_and_takes_little_time() -> None:
    code = "import json, sys; from imrestore.cli import main; main(['mean', '-h']); print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert [name for name in HEAVY if name in loaded] == []

    def seconds(*argv: str) -> float:  # of processor time, which a busy machine does not change much
        before = os.times()
        subprocess.run([sys.executable, *argv], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    alone = min(seconds("-c", "import numpy") for _ in range(5))
    assert min(seconds("-m", "imrestore", "--help") for _ in range(5)) < alone + 0.12


def test_a_senseless_number_of_threads_in_the_environment_is_wrong_usage(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 1)
    process = start("mean", tmp_path / "in", "-o", tmp_path / "out", env=os.environ | {"IMRESTORE_NUM_THREADS": "two"})
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "IMRESTORE_NUM_THREADS" in errors
    assert "Traceback" not in errors


def test_demo_restores_prints_and_draws(tmp_path: Path) -> None:
    process = start("demo", "-o", tmp_path / "demo")
    said, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    rows = re.findall(r"^.{26}(\S+ ?\S*) +(\d+\.\d+)[* ]? +(0\.\d+)[* ]? *(\d+\.\d+)?$", said, re.MULTILINE)
    assert len(rows) == 24
    noisy, restored = ([row for row in rows if row[0].startswith("noisy") == kind] for kind in (True, False))
    assert [row[3] for row in noisy] == ["", ""]
    assert all(float(row[1]) > float(noisy[i // 11][1]) for i, row in enumerate(restored))  # every filter helps
    assert {row[0].split()[0] for row in restored} == {"mean", "gaussian", "median", "guided", "bilateral", "nl_means", "bm3d"}
    paths = [Path(path) for path in re.findall(r"^(?:side by side|one row): +(\S+)$", said, re.MULTILINE)]
    assert [path.name for path in paths] == ["demo.png", "strip.png"]
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 250
    assert paths[1].stat().st_size < 300_000


def test_demo_takes_a_photograph_of_your_own(tmp_path: Path) -> None:
    y, x = np.mgrid[:90, :70]
    Image.fromarray(((x * 3 + y * 2) % 256).astype(np.uint8)).save(tmp_path / "mine.png")
    process = start("demo", "-o", tmp_path, "--image", tmp_path / "mine.png", "--threads", 1)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert said.startswith("mine.png, 70 x 90, 8-bit grey, 1 threads")


def test_closed_streams_and_an_ascii_terminal_do_no_harm(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 1)
    (tmp_path / "in" / "über.png").write_bytes(b"")
    words = " ".join([*COMMAND, "mean", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--overwrite"])
    assert subprocess.run(f"{words} >&- 2>&-", shell=True, check=False).returncode == 1
    done = subprocess.run(
        words, shell=True, check=False, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 1
    assert done.stderr == f"imrestore: {tmp_path}/in/\\xfcber.png: the file is empty\n"
    assert done.stdout.startswith("1 of 2 files written")


@pytest.mark.parametrize("terminal", [True, False])
def test_warmup_counts_kernels_and_draws_a_bar_on_a_terminal(terminal: bool) -> None:
    # Stands in for minutes of compiling; the real function takes the same progress callable.
    code = """
import sys, imrestore
from imrestore.cli import main
def warmup(progress=None):
    for done, name in enumerate(["median [3]", "mean", ""]):
        if progress: progress(done, 2, name)
    return 2
imrestore.warmup = warmup
sys.exit(main(["warmup"]))
"""
    if terminal:
        exit_code, said, shown = on_terminal([sys.executable, "-c", code])
        assert "2/2" in shown
    else:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        exit_code, said, shown = done.returncode, done.stdout, done.stderr
        assert shown == ""
    assert exit_code == 0
    assert said.startswith("2 kernels ready, ")


def test_the_noises_of_the_demo_are_what_their_names_say() -> None:
    grey = np.full((400, 500), 128, np.uint8)
    thermal, pixels = (noise.add(grey, np.random.default_rng(8)) for noise in _demo.noises())
    assert thermal.mean() == pytest.approx(128, abs=0.3)
    assert thermal.std() == pytest.approx(25, abs=0.3)
    assert [(pixels == value).mean() for value in (0, 255)] == pytest.approx([0.05, 0.05], abs=0.003)
    assert (pixels == 128).mean() == pytest.approx(0.9, abs=0.004)


def test_the_demo_shows_12_bits_in_16_as_bright_as_they_are(tmp_path: Path) -> None:
    y, x = np.mgrid[:30, :40]
    tifffile.imwrite(tmp_path / "dark.tif", ((x + y) * 4095 // 68).astype(np.uint16))
    image, name = _demo.photograph(tmp_path / "dark.tif")
    np.testing.assert_allclose(image, (x + y) / 68 * 255, atol=0.6)
    assert (image.dtype, name) == (np.uint8, "dark.tif, 0 to 4095 made 0 to 255")
    tifffile.imwrite(tmp_path / "flat.tif", np.full((20, 20), 1024, np.uint16))
    assert (_demo.photograph(tmp_path / "flat.tif")[0] == 4).all()
