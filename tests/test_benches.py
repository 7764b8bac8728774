"""The benchmark's own arithmetic: its fast definitions against the slow oracles, its rows, its report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benches import expected, filters, pictures, scalars
from benches.__main__ import main
from benches.pictures import GAIN, NOISE, OFFSET, READ_NOISE, WHITE, picture
from benches.report import README_BEGIN, README_END, Report, compare_reports, markdown, readme_block, write_into_readme
from benches.rows import Goal, Plan, Row
from benches.suites import DEFAULT, NAMES
from benches.timing import Timing
from imrestore.noise import PoissonGaussian
from tests import oracles
from tests.oracles import metrics as metric_oracles
from tests.oracles.noise import mean_of_transform

ROOT = Path(__file__).parents[1]
DTYPES = ("uint8", "uint16", "float32")


def timing(milliseconds: float, share: float = 1.0) -> Timing:
    seconds = milliseconds / 1e3
    return Timing(seconds, 0.9 * seconds, 1.2 * seconds, 20, 3 * seconds, share)


def row(ours: float, opencv: float, scipy: float = 50.0, **changes: object) -> Row:
    values = {
        "suite": "mean",
        "filter": "mean",
        "parameters": "3x3",
        "dtype": "uint8",
        "shape": (2048, 2048),
        "ours": timing(ours),
        "peers": {"OpenCV": timing(opencv), "scipy": timing(scipy, share=1 / 64)},
        "ratios": {"OpenCV": opencv / ours, "scipy": scipy / ours},
        "inexact_peers": ("scipy",),
        "goal": Goal(1.5, "OpenCV"),
        "copy_percent": 40.0,
        "equal": True,
    }
    return Row(**(values | changes))


def report(*rows: Row) -> Report:
    metadata = {
        "date": "2026-11-21T09:00:00+00:00",
        "commit": "0123456789",
        "uncommitted_changes": False,
        "python": "3.11.7",
        "cpu": "some processor",
        "load_before": 0.1,
        "threads": 2,
        "copy_gb_per_s": 20.0,
        "versions": {"numpy": "2.4.6"},
    }
    return Report(metadata, list(rows))


# The fast definitions

SMALL = (23, 31)  # odd, prime, and smaller than the largest windows below


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 3, 4, 9, 31])
def test_mean_is_the_oracles(dtype, size):
    image = picture(dtype, *SMALL)
    oracle, fast = oracles.mean(image, size), expected.mean(image, size, "reflect")
    assert_same_range(fast, oracle, image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [0.7, 1, 2])
def test_gaussian_is_the_oracles(dtype, sigma):
    image = picture(dtype, *SMALL)
    assert_same_range(expected.gaussian(image, sigma, 4.0, "reflect"), oracles.gaussian(image, sigma), image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 3, 4, 9, 31])
def test_median_is_the_oracles(dtype, size):
    image = picture(dtype, *SMALL)
    fast = expected.median(image, size, "nearest", pixels=3000)
    oracle = oracles.median(image, size, mode="nearest")
    assert fast.pixels is not None
    np.testing.assert_array_equal(fast.low, oracle.low[fast.pixels])
    assert np.unique(np.stack(fast.pixels), axis=1).shape[1] > 0.8 * image.size  # nearly every pixel was looked at


@pytest.mark.parametrize("dtype", DTYPES)
def test_similarities_are_the_oracles(dtype):
    image = picture(dtype, *SMALL)
    white = WHITE[dtype]
    weights = np.array([1, 2, 2, 2, 1]) / 8
    fast = expected.nl_means(image, 0.04 * white, 0.03 * white, weights, 3, pixels=300)
    oracle = oracles.nl_means(image, 0.04 * white, h=0.03 * white, patch_size=5, patch_distance=3)
    assert_ranges_meet(fast, oracle, white)
    fast = expected.bilateral(image, 0.1 * white, 1.5, 4, pixels=300)
    assert_ranges_meet(fast, oracles.bilateral(image, 0.1 * white, 1.5, radius=4), white)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_guided_is_the_oracles(dtype, colour):
    image = picture(dtype, *SMALL)
    guide = np.stack([image, image[::-1], image[:, ::-1]], axis=-1) if colour else image
    eps = (0.1 * WHITE[dtype]) ** 2
    oracle = oracles.guided(image, guide, 3, eps=eps, channel_axis=-1 if colour else None)
    assert_ranges_meet(expected.guided(image, guide, 3, eps), oracle, WHITE[dtype])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_metrics_are_the_oracles(dtype):
    image, white = picture(dtype, *SMALL), WHITE[dtype]
    other = image[::-1, ::-1]
    assert expected.psnr(image, other, white) == pytest.approx(metric_oracles.psnr(image, other, white), rel=1e-12)
    similarity = metric_oracles.similarity(image, other, white).mean()
    assert expected.ssim(image, other, white) == pytest.approx(float(similarity), abs=1e-12)
    colours, others = np.stack([image, other, image], axis=-1), np.stack([other, image, image], axis=-1)
    assert expected.ssim(colours, others, white) == pytest.approx((2 * float(similarity) + 1) / 3, abs=1e-12)
    similar = (image // 2 + other // 2) if dtype == "uint8" else (image + other) / 2  # means below zero would not be compared
    scales = (0.4, 0.6)  # at the second the picture is 12x16
    oracle = metric_oracles.ms_ssim(image, similar, white, scales)
    assert 0.1 < oracle == pytest.approx(expected.ms_ssim(image, similar, white, scales), abs=1e-12)


def test_sigma_is_what_was_put_in():
    clean = np.tile(np.linspace(0, 1, 400), (300, 1))
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, clean.shape)
    assert expected.sigma(noisy, clean, clean >= 0) == pytest.approx(0.05, rel=0.01)
    inside = (clean > 0.2) & (clean < 0.8)
    assert expected.sigma(np.clip(noisy, 0, 1), clean, inside) == pytest.approx(0.05, rel=0.01)
    growing = clean + (noisy - clean) * (1 + clean)
    groups = expected.sigmas_by_intensity(growing, clean)
    assert [sigma for _, sigma in groups] == pytest.approx([0.05 * (1 + level) for level, _ in groups], rel=0.02)
    assert [level for level, _ in groups] == pytest.approx((np.arange(8) + 0.5) / 8, abs=0.01)


@pytest.mark.parametrize("read_noise", [0.0, 0.3, 5.0])
def test_the_mean_of_anscombes_transform_is_the_oracles(read_noise):
    mean = expected.mean_of_anscombe(300.0, read_noise)
    for signal in (0.0, 0.01, 1.0, 20.0, 300.0):
        assert mean(signal) == pytest.approx(mean_of_transform(signal, read_noise), rel=1e-6)


@pytest.mark.parametrize("read_noise", [0.0, READ_NOISE])
def test_anscombes_transform_and_its_inverse(read_noise):
    signals = np.array([[0, 0.5, 3, 40], [41, 127, 130, 900]])
    values = np.array([[mean_of_transform(signal, read_noise / GAIN) for signal in row] for row in signals]).astype(np.float32)
    image = (OFFSET + GAIN * signals).astype(np.float32)
    inverse = expected.inverse_anscombe(values, GAIN, read_noise, OFFSET, pixels=100)
    assert inverse.matches(image)
    for place, error in {(0, 0): 1e-3, (1, 3): 0.01, (0, 3): -0.01}.items():
        wrong = image.copy()
        wrong[place] += error
        assert not inverse.matches(wrong)
    darker = values - np.float32(0.5) * (signals == 0)
    assert expected.inverse_anscombe(darker, GAIN, read_noise, OFFSET, pixels=100).matches(image)  # no light is the least
    image -= 20  # darker than black
    formula = 2 / GAIN * np.sqrt(np.maximum(GAIN * (image.astype(float) - OFFSET) + 3 / 8 * GAIN**2 + read_noise**2, 0))
    forward = expected.anscombe(image, GAIN, read_noise, OFFSET)
    assert forward.matches(formula)
    assert not forward.matches(formula * (1 + 1e-5))


def assert_ranges_meet(fast: expected.Expected, oracle: oracles.Expected, white: float) -> None:
    """Both say the same of every pixel looked at, up to a few roundings of float32 or a tie between integers."""
    pixels = (slice(None), slice(None)) if fast.pixels is None else fast.pixels
    low, high = (bound[pixels].astype(np.float64) for bound in (oracle.low, oracle.high))
    assert (fast.low <= high).all()
    assert (low <= fast.high).all()
    assert np.max(fast.high - fast.low) <= max(1.0 if white > 1 else 0.0, 1e-5 * white)


def assert_same_range(fast: expected.Expected, oracle: oracles.Expected, image: np.ndarray) -> None:
    if image.dtype.kind == "u":
        np.testing.assert_array_equal(fast.low, oracle.low)
        np.testing.assert_array_equal(fast.high, oracle.high)
    else:  # the oracle adds one subnormal step and sums in another order
        np.testing.assert_allclose(fast.low, oracle.low.astype(np.float64), rtol=1e-12)
        np.testing.assert_allclose(fast.high, oracle.high.astype(np.float64), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_wrong_pixel_is_noticed(dtype):
    image = picture(dtype, *SMALL)
    definition = expected.mean(image, 3, "reflect")
    right = definition.low.astype(image.dtype) if image.dtype.kind == "u" else ((definition.low + definition.high) / 2)
    right = right.astype(image.dtype)
    assert definition.matches(right)
    wrong = right.copy()
    wrong[11, 30] += 1 if image.dtype.kind == "u" else np.float32(1e-5)
    assert not definition.matches(wrong)


# Numbers: metrics and estimates


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_pair_differs_by_the_noise(dtype):
    assert scalars.psnr(scalars.pair(dtype, 512)).ours() == pytest.approx(-20 * np.log10(NOISE), abs=0.2)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("colour", [False, True])
def test_metrics_and_their_peers_are_right(dtype, colour):
    pair = scalars.pair(dtype, 192, colour=colour)
    calls = [scalars.ssim(pair)] if colour else [scalars.psnr(pair), scalars.ssim(pair), scalars.ms_ssim(pair)]
    for call in calls:
        assert call.parameters == ("192x192 RGB" if colour else "192x192")
        assert call.right(call.ours())
        assert call.inexact() == (("OpenCV",) if call.filter == "ssim" else ())  # which counts windows across the border
        for run in call.others.values():
            assert run() == pytest.approx(call.ours(), rel=0.02)
        assert not call.right(call.ours() * (1 + 2e-9))
        assert not call.right(np.nan)


def test_estimates_find_the_noise_that_was_put_in():
    for dtype in ("uint8", "float32"):
        for method in ("pca", "wavelet"):
            call = scalars.estimate_sigma(dtype, 512, method)
            sigma = NOISE * WHITE[dtype]
            assert call.error(sigma) == pytest.approx(0, abs=0.01)
            assert call.right(call.ours())
            assert not call.right(0.8 * sigma)
    for dtype in ("uint16", "float32"):
        call = scalars.estimate_poisson_gaussian(dtype, 512)
        assert call.error(PoissonGaussian(GAIN, READ_NOISE)) == pytest.approx(0, abs=0.02)
        assert call.right(call.ours())
        for factor in (0.5, 2):  # too little or too much in the dark only
            assert not call.right(PoissonGaussian(GAIN, factor * READ_NOISE))
        assert not call.right(PoissonGaussian(0.85 * GAIN, READ_NOISE))


def test_anscombe_is_right_and_so_is_the_formula():
    image = np.array(pictures.raw("float32", 64))
    forward, backward = (build(GAIN, READ_NOISE, OFFSET) for build in (filters.anscombe, filters.inverse_anscombe))
    for call, src in ((forward, image), (backward, forward.definition(image).high.astype(np.float32))):
        definition = call.definition(src)
        assert filters.matches(call.ours, src, definition)
        assert all(filters.matches(run, src, definition) for run in call.others("float32").values())
        assert not definition.matches(src)


def test_the_row_of_a_number():
    pair = scalars.pair("uint8", 64)
    one = scalars.measure_scalar(Plan(threads=1, quick=True), "metrics", scalars.ssim(pair), pair.image, Goal(5, "scikit-image"))
    assert (one.key, one.equal, one.copy_percent) == ("metrics/ssim/64x64/uint8/64x64", True, None)
    assert (set(one.peers), one.inexact_peers) == ({"OpenCV", "scikit-image"}, ("OpenCV",))
    wrong = scalars.ssim(pair)._replace(ours=lambda: 0.5, others={})
    assert scalars.measure_scalar(Plan(threads=1, quick=True), "metrics", wrong, pair.image, None).equal is False


def test_pictures_are_the_same_every_time_and_fill_their_range():
    image = picture("uint16", 600, 700)
    assert image.shape == (600, 700)
    assert image.max() > 60000
    picture.cache_clear()
    np.testing.assert_array_equal(picture("uint16", 600, 700), image)


# Rows and goals


def test_the_ratio_is_to_the_fastest_peer():
    assert row(2.0, 5.0, scipy=4.0).best_peer == "scipy"
    assert row(2.0, 5.0, scipy=4.0).ratio == 2.0


def test_our_own_rows_are_no_peers():
    with_own = row(2.0, 5.0, ratios={"OpenCV": 2.5, "imrestore uint8": 0.4})
    assert with_own.best_peer == "OpenCV"


@pytest.mark.parametrize(
    ("one", "met"),
    [
        (row(2.0, 3.0), True),
        (row(2.0, 2.9), False),
        (row(2.0, 9.0, equal=False), False),
        (row(2.0, 9.0, goal=None), None),
        (row(1900.0, 1.0, goal=Goal(2.0)), True),
        (row(2100.0, 1.0, goal=Goal(2.0)), False),
        (row(3.0, 1.0, goal=Goal(1 / 4, "OpenCV")), True),
        (row(5.0, 1.0, goal=Goal(1 / 4, "OpenCV")), False),
    ],
)
def test_goals(one, met):
    assert one.met is met


def test_goals_say_what_they_are():
    assert Goal(1.5, "OpenCV").text == ">= 1.5x OpenCV"
    assert Goal(1 / 4, "imrestore uint8").text == "<= 4x the time of imrestore uint8"
    assert Goal(2.0).text == "<= 2 s"


def test_json_keeps_every_field(tmp_path):
    alone = row(0.3, 1.0, goal=None, peers={}, ratios={}, inexact_peers=(), equal=None, note="n", decibels={"imrestore": 29.9})
    before = report(row(2.0, 5.0), alone)
    path = tmp_path / "run.json"
    path.write_text(before.to_json())
    after = Report.from_file(path)
    assert after.metadata == before.metadata
    assert [r.to_json() for r in after.rows] == [r.to_json() for r in before.rows]


def test_another_schema_is_refused(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"schema": 99, "metadata": {}, "results": []}))
    with pytest.raises(ValueError, match="schema 99"):
        Report.from_file(path)


# The report


def test_the_table_shows_losses_and_wrong_results():
    text = markdown(report(row(2.0, 5.0), row(2.0, 1.0, dtype="uint16"), row(1.0, 9.0, dtype="float32", equal=False)))
    lines = {line.split(" | ")[1]: line for line in text.splitlines() if line.startswith("| mean")}
    assert "| 2.5x | >= 1.5x OpenCV | yes |" in lines["uint8"]
    assert "| 0.5x | >= 1.5x OpenCV | **MISS** |" in lines["uint16"]
    assert lines["float32"].endswith("| **MISS** | 40 | **NO** |")
    assert "1 of 3 goals met; WRONG RESULTS: mean/mean/3x3/float32/2048x2048" in text


def test_the_heading_has_the_size_that_all_pictures_have():
    assert "**mean** 2048x2048\n" in markdown(report(row(2.0, 5.0), row(2.0, 5.0, dtype="uint16")))
    assert "**mean**\n" in markdown(report(row(2.0, 5.0), row(2.0, 5.0, shape=(512, 512))))


def test_a_lower_ratio_is_a_regression_even_if_the_time_is_not():
    lines, worse = compare_reports(report(row(2.0, 6.0)), report(row(1.8, 4.0)), percent=10)
    assert worse
    assert lines[0].startswith("SLOWER")


def test_a_noisier_hour_is_no_regression():
    lines, worse = compare_reports(report(row(2.0, 6.0)), report(row(6.0, 17.0)), percent=10)
    assert not worse
    assert lines[0].startswith("ok")


def test_a_result_that_became_wrong_is_a_regression():
    assert compare_reports(report(row(2.0, 6.0)), report(row(2.0, 6.0, equal=False)), percent=10)[1]


def test_rows_that_came_and_went_are_named():
    lines, worse = compare_reports(report(row(2.0, 6.0)), report(row(2.0, 6.0, dtype="uint16")), percent=10)
    assert not worse
    assert [line.split()[0] for line in lines] == ["new", "gone"]


@pytest.mark.parametrize(("opencv", "code"), [(6.0, 0), (4.0, 1)])
def test_compare_ends_with_its_verdict(tmp_path, capsys, opencv, code):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, one in zip(paths, [row(2.0, 6.0), row(2.0, opencv)], strict=True):
        path.write_text(report(one).to_json())
    assert main(["--compare", *map(str, paths)]) == code
    assert "mean/mean/3x3/uint8/2048x2048" in capsys.readouterr().out


def test_the_table_goes_between_the_marks_of_the_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{README_BEGIN}\nold\n{README_END}\nafter\n")
    source = tmp_path / "run.json"
    source.write_text(report(row(2.0, 5.0)).to_json())
    write_into_readme([source, source], readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("1 of 1 goals met") == 2


def test_the_readme_shows_the_runs_it_names():
    text = (ROOT / "README.md").read_text()
    block = text.split(README_BEGIN)[1].split(README_END)[0].strip()
    names = re.findall(r"^From `benches/results/(.+)`\.$", block, re.MULTILINE)
    assert names
    assert block == readme_block([ROOT / "benches" / "results" / name for name in names])


def test_a_busy_machine_is_said_to_be_one():
    busy = report(row(2.0, 5.0))
    assert "cores busy" not in markdown(busy)
    busy.metadata["load_before"] = 3.6
    assert "Other programs kept 3.6 cores busy." in markdown(busy)


def test_every_default_suite_is_offered():
    assert set(DEFAULT) <= set(NAMES)
