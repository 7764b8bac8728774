"""The benchmarks of BM3D: their pictures and noise, their rows, the tables of quality, the search and the plot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from imrestore_kernels.bm3d_profiles import PROFILES, HardThreshold, Profile, Wiener
from PIL import Image

import imrestore
from benches import bm3d_plot, bm3d_quality, bm3d_search, datasets, peers
from benches.report import Report
from benches.rows import OURS, Plan, Row
from benches.suites import bm3d as suite
from benches.timing import Timing

GREY, BYTES, COLOUR, CORRELATED = (suite.CASES[i] for i in (0, 4, 5, 6))
LOOK = Plan(threads=1, quick=True)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package is not installed."""
    monkeypatch.setitem(sys.modules, "bm3d", None)


def photographs(folder: Path, pattern: str, count: int, shape: tuple[int, ...] = (40, 48)) -> None:
    rng = np.random.default_rng(4)
    for i in range(count):
        path = folder / pattern.replace("/*/", "/train/").replace("*", f"{i:03}")
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth = rng.integers(60, 190, (4, 4, *shape[2:])).repeat(shape[0] // 4, 0).repeat(shape[1] // 4, 1)
        Image.fromarray(smooth.astype(np.uint8)).save(path)


# The suite


def test_noise_is_as_strong_and_as_correlated_as_the_filter_is_told() -> None:
    for case in (GREY, COLOUR, CORRELATED):
        original, noisy = suite.pair(case, 256)
        noise = noisy - original
        assert noise.std() == pytest.approx(suite.SIGMA, rel=0.02)
        neighbours = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
        assert neighbours == pytest.approx(np.exp(-0.25) if case == CORRELATED else 0, abs=0.03)
    original, noisy = suite.pair(BYTES, 256)
    assert (noisy.dtype, noisy.max(), original.max()) == (np.uint8, 255, 255)


def test_a_row_is_right_if_its_picture_is_good_enough(alone: None) -> None:
    for least, right in ((22.0, True), (60.0, False)):
        row = suite.row(LOOK, GREY._replace(profile="fast", least=least), 64)
        assert (row.key, row.equal, row.goal) == ("bm3d/bm3d/fast/float32/64x64", right, None)
        assert set(row.peers) == {suite.OWN_NL_MEANS, peers.WAVELETS}
        assert row.inexact_peers == (() if right else tuple(row.peers))
        assert row.note.startswith(f"{row.decibels[OURS]:.2f} dB ({suite.OWN_NL_MEANS} ")
        assert Row.from_json(row.to_json()).decibels == row.decibels
        # What decibels are of whom: ours restores best, and everyone something.
        assert 21 < row.decibels[peers.WAVELETS] < row.decibels[OURS] == max(row.decibels.values())


@pytest.mark.parametrize("case", [BYTES, COLOUR, CORRELATED])
def test_other_pictures_have_the_peers_that_can_do_them(case: suite.Case, alone: None) -> None:
    names = {
        BYTES: {suite.OWN_NL_MEANS, peers.OPENCV_NL_MEANS},
        COLOUR: {suite.OWN_NL_MEANS, peers.WAVELETS},
        CORRELATED: set(),
    }
    original, noisy = suite.pair(case, 96)
    others = suite.peers_of(case, 1)
    assert set(others) == names[case]
    before = suite.psnr(noisy, original, case.dtype)
    for run in (suite.filter_of(case._replace(profile="fast")), *others.values()):
        assert suite.psnr(run(noisy, None), original, case.dtype) > before + 3


def test_ours_looks_at_colours_together_and_knows_the_kernel() -> None:
    for case, options in ((COLOUR, {"channel_axis": -1}), (CORRELATED, {"kernel": suite.kernel()})):
        _, noisy = suite.pair(case, 40)
        expected = imrestore.bm3d(noisy, suite.SIGMA, profile="fast", **options)
        np.testing.assert_array_equal(suite.filter_of(case._replace(profile="fast"))(noisy, None), expected)


def test_the_package_is_told_the_noise_the_profile_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def stand_in(image: np.ndarray, noise: object, parameters: SimpleNamespace, *stage: str) -> np.ndarray:
        told.append((parameters.kind, parameters.num_threads, *stage))
        noises.append(noise)
        return image

    kinds = {
        name: (lambda name=name: SimpleNamespace(kind=name)) for name in ("BM3DProfile", "BM3DProfileLC", "BM3DProfileHigh")
    }
    stages = SimpleNamespace(HARD_THRESHOLDING="one", ALL_STAGES="both")
    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d=stand_in, bm3d_rgb=stand_in, BM3DStages=stages, **kinds))
    noises: list[object] = []
    for case in suite.CASES:
        _, noisy = suite.pair(case, 64)
        suite.peers_of(case, 3)[peers.BM3D](noisy, None)
    assert told == [
        ("BM3DProfile", 3, "both"),
        ("BM3DProfileLC", 3, "both"),
        ("BM3DProfileHigh", 3, "both"),
        ("BM3DProfile", 3, "one"),
        ("BM3DProfile", 3, "both"),
        ("BM3DProfile", 3),
        ("BM3DProfile", 3, "both"),
    ]
    assert noises[:6] == [*[suite.SIGMA] * 4, 25.0, suite.SIGMA]
    # By Parseval its mean is the variance times the number of pixels.
    assert np.mean(noises[6]) == pytest.approx(suite.SIGMA**2 * 64 * 64)
    assert suite.row(LOOK, GREY._replace(least=0.0), 64).goal == suite.GOAL


# Quality


def test_decibels_are_of_whole_numbers_from_0_to_255_where_tables_have_them_so() -> None:
    values = np.array([255.0, 0.0, 10.0, 99.5])
    assert datasets.psnr(values + 25.5, values) == pytest.approx(20)
    rounded = datasets.published_psnr([300, -4, 10.4, 99.6], values)
    assert rounded == pytest.approx(20 * np.log10(255 / 0.25))



def test_quality_is_told_of_every_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "FOLDER", tmp_path)
    photographs(tmp_path, "Set12/*.png", 12)
    photographs(tmp_path, "CBSD432/*/*.jpg", 8)
    photographs(tmp_path, "CBSD432/val32/*.jpg", 2, (40, 48, 3))
    out = tmp_path / "quality.json"
    argv = ["--pictures", "2", "--set", "Set12", "--set", "CBSD432", "--profile", "fast", "--json", str(out)]
    assert bm3d_quality.main(argv) == 0
    body = json.loads(out.read_text())
    assert [(one["set"].split()[0], one["sigma"]) for one in body["sets"]] == [
        (name, sigma) for name in ("Set12", "CBSD432") for sigma in (15, 25, 50)
    ]
    first = body["sets"][0]
    assert [picture["picture"] for picture in first["pictures"]] == ["C.man", "House"]
    values = np.asarray(Image.open(tmp_path / "Set12/000.png")).astype(float)
    noisy = datasets.published_psnr(datasets.noisy(values, 15), values)
    assert first["pictures"][0]["ours"] > noisy + 5
    assert first["mean"]["published"] == pytest.approx((31.91 + 34.93) / 2)
    ours = [picture["ours"] for picture in first["pictures"]]
    assert first["mean"]["ours"] == pytest.approx(np.mean(ours))
    assert f"| C.man | {ours[0]:.2f} | 31.91 |  |\n" in capsys.readouterr().out


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_the_published_pictures_have_the_published_mean(sigma: int) -> None:
    task = bm3d_quality.Task("Set12", "", sigma)
    results = [bm3d_quality.Result("", 1.0, value, None) for value in bm3d_quality.PUBLISHED_SET12[sigma]]
    printed = bm3d_quality.mean(task, results, None).published
    assert bm3d_quality.mean(task, results, 12).published == pytest.approx(printed, abs=0.006)


def test_colours_are_none_that_parameters_were_chosen_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: None) -> None:
    monkeypatch.setattr(datasets, "FOLDER", tmp_path)
    photographs(tmp_path, "CBSD432/val32/*.jpg", 9, (16, 16, 3))  # the eighth is the first of the search
    (task,) = (task for task in bm3d_quality.TASKS if task.name.startswith("CBSD432") and task.sigma == 25)
    pictures = [result.picture for result in bm3d_quality.measure(task, "fast", None, False)]
    assert pictures == [f"{i:03}" for i in range(9) if i != 7]
    with pytest.raises(SystemExit, match="not installed"):
        bm3d_quality.measure(task, "fast", 1, True)


def test_a_folder_without_pictures_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/Set12"):
        datasets.files("Set12/*.png")


# The search


def test_every_change_is_one_and_none_is_the_profile_itself() -> None:
    base = Profile(
        HardThreshold(match=7.5, threshold=2.65, beta=2.5, window=33, step=7),
        Wiener(match=7.5, noise=0.85, beta=2.5, window=33, step=7, share=0.25, adaptive=0.55, excess=0.95),
        Wiener(match=7.5, noise=0.85, beta=2.5, window=33, step=7, share=0.25, adaptive=0.55, excess=0.95),
    )
    found = list(bm3d_search.changes(base, list(bm3d_search.TRIED)))
    assert len(found) == sum(map(len, bm3d_search.TRIED.values()))
    for name, profile in found:
        place, _, rest = name.partition(".")
        changed = [
            (stage, field)
            for stage in base._fields
            for field, old in getattr(base, stage)._asdict().items()
            if getattr(getattr(profile, stage), field) != old
        ]
        field, _, value = rest.partition(" = ")
        assert changed == [(place, field)]
        assert getattr(getattr(profile, place), field) == float(value)
    assert {name for name, _ in bm3d_search.changes(base._replace(refine=None), list(bm3d_search.TRIED))} == {
        name for name, _ in found if not name.startswith("refine")
    }
    assert not list(bm3d_search.changes(base._replace(wiener=Wiener(share=1.0)), ["wiener.noise"]))
    kept = bm3d_search.changes(base._replace(hard=base.hard._replace(threshold=2.5)), ["hard.threshold"])
    assert [name for name, _ in kept] == ["hard.threshold = 2.6", "hard.threshold = 2.8", "hard.threshold = 2.9"]


def test_the_search_scores_every_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "FOLDER", tmp_path)
    photographs(tmp_path, "CBSD432/*/*.jpg", 36, (40, 48, 3))
    photographs(tmp_path, "Train400/*.png", 6)
    out = tmp_path / "search.json"
    argv = ["--sigma", "25", "--profile", "fast", "--parameter", "wiener.noise", "--parameter", "hard.step", "--json", str(out)]
    assert bm3d_search.main(argv) == 0
    results = json.loads(out.read_text())["results"]
    assert [(one["set"], one["sigma"], one["pictures"]) for one in results] == [("CBSD432", 25, 2), ("Train400", 25, 1)]
    rows = results[1]["decibels"]
    assert list(rows) == ["", *(f"wiener.noise = {v:g}" for v in (0.6, 0.7, 0.9, 1.0, 1.2)), "hard.step = 2", "hard.step = 4"]
    noises = [pair.noisy[0] * 25 - pair.values for pair in bm3d_search.pairs_of("CBSD432", 25, None)]
    expected = [25 * np.random.default_rng(k).standard_normal((40, 48)) for k in (0, 1)]
    np.testing.assert_allclose(noises, expected, atol=1e-4)
    (pair,) = bm3d_search.pairs_of("Train400", 25, None)
    base = PROFILES["fast"]
    basic = bm3d_search.run(base.hard, pair, None)
    profile = base.wiener._replace(noise=1.2)
    assert rows["wiener.noise = 1.2"] == [pair.psnr(basic), pair.psnr(bm3d_search.run(profile, pair, basic))]
    assert rows["hard.step = 2"][0] != rows[""][0] == rows["wiener.noise = 0.6"][0] > pair.psnr(pair.noisy) + 5
    line = f"wiener.noise = 1.2      {0:+12.3f}{rows['wiener.noise = 1.2'][1] - rows[''][1]:+9.3f}\n"
    assert line in capsys.readouterr().out


# The plot


def timed(parameters: str, dtype: str, seconds: float, others: dict[str, float], decibels: list[float]) -> Row:
    def timing(value: float) -> Timing:
        return Timing(value, value, value, 5, value)

    return Row(
        "bm3d", "bm3d", parameters, dtype, (512, 512), timing(seconds), {name: timing(value) for name, value in others.items()},
        dict.fromkeys(others, 1.0), decibels=dict(zip((OURS, *others), decibels, strict=True)),
    )  # fmt: skip


RUN = [
    timed("normal", "uint8", 0.5, {"bm3d": 11.0, peers.OPENCV_NL_MEANS: 0.2}, [29.5, 29.4, 28.6]),
    timed("normal", "float32", 0.4, {"bm3d": 10.0, peers.WAVELETS: 0.02}, [29.9, 29.8, 27.0]),
    timed("fast", "float32", 0.1, {"bm3d": 4.0, peers.WAVELETS: 0.03}, [29.6, 29.7, 27.0]),
    timed("normal RGB", "float32", 0.9, {"bm3d": 25.0}, [32.0, 32.1]),
]


def test_points_are_those_of_the_grey_picture() -> None:
    assert bm3d_plot.points(RUN) == [
        (peers.WAVELETS, "", 0.02, 27.0),
        (OURS, "fast", 0.1, 29.6),
        (peers.OPENCV_NL_MEANS, "", 0.2, 28.6),
        (OURS, "normal", 0.4, 29.9),
        (peers.BM3D, "fast", 4.0, 29.7),
        (peers.BM3D, "normal", 10.0, 29.8),
    ]


def test_the_plot_has_a_dot_for_every_point_and_is_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata = {"cpu": "some processor, AVX2", "threads": 2}
    source, out = tmp_path / "run.json", tmp_path / "plot.png"
    source.write_text(Report(metadata, RUN).to_json())
    assert bm3d_plot.main([str(source), "-o", str(out)]) == 0
    assert out.stat().st_size < 30_000
    pixels = np.asarray(Image.open(out).convert("RGB"))
    points = bm3d_plot.points(RUN)
    axes = bm3d_plot.Axes.around(points)
    for point in points:
        x, y = axes.at(point.seconds, point.decibels)
        assert tuple(pixels[round(y), round(x)]) == bm3d_plot.COLOURS[point.who][0]
    (left, high), (right, low) = axes.at(0.1, 29.0), axes.at(1.0, 28.0)
    assert left < right
    assert high < low
    source.write_text(Report(metadata, RUN[3:]).to_json())
    with pytest.raises(SystemExit):
        bm3d_plot.main([str(source), "-o", str(out)])
    assert "holds no grey rows" in capsys.readouterr().err
