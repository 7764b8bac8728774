"""The benchmark of damage and augmentation: samples a second, the checks of rows, who is compared with whom."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import imrestore
from benches import damage, throughput
from benches.peers import OPENCV
from benches.pipelines import augmentation, bsrgan, real_esrgan
from benches.rows import OURS, Plan, Row
from benches.suites import degrade as suite
from benches.timing import Contender, Timing

LOOK = Plan(threads=1, quick=True)


# Samples a second


class Log:
    """What was made, by number."""

    def __init__(self, name: str) -> None:
        self.name, self.numbers = name, []

    def __call__(self, number: int) -> None:
        self.numbers.append(number)


logs: dict[str, Log] = {}


def logged(name: str) -> Log:
    return logs.setdefault(name, Log(name))


def test_every_sample_is_made_once_in_one_process_and_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def pool(count: int, context: Any, **options: Any) -> ThreadPoolExecutor:
        started.append((count, context.get_start_method(), options["initargs"]))
        return ThreadPoolExecutor(count)

    monkeypatch.setattr(throughput, "ProcessPoolExecutor", pool)
    task = throughput.Task(logged, ("several",))
    with throughput.Processes(2) as processes:
        processes.run(task, range(21))
    assert started == [(2, "spawn", (1,))]
    assert sorted(logs["several"].numbers) == list(range(21))
    throughput.run(throughput.Task(logged, ("one",)), range(5))
    throughput.run(throughput.Task(logged, ("one",)), range(5))
    assert logs["one"].numbers == [*range(5), *range(5)]  # made by one and the same function


def test_threads_are_set_for_everyone_and_set_back() -> None:
    def found() -> tuple[int, int, int]:
        return cv2.getNumThreads(), torch.get_num_threads(), imrestore.get_num_threads()

    before = found()
    with throughput.limited(3):
        assert found() == (3, 3, 3)
        with throughput.limited(1):
            assert found() == (1, 1, 1)
        assert found() == (3, 3, 3)
    assert found() == before


def timing(seconds: float) -> Timing:
    return Timing(seconds, 0.9 * seconds, 1.1 * seconds, 7, 3 * seconds)


def test_a_row_is_of_one_sample_and_says_how_many_a_second_has() -> None:
    row = Row(
        "degrade", "chain", "", "float32", (8, 8), timing(0.02), {"slow": timing(3.2), "fast": timing(0.008)},
        {"slow": 160.0, "fast": 0.4}, note="",
    )  # fmt: skip
    divided = throughput.per_sample(row, 16)
    assert divided.ours == pytest.approx(timing(0.02 / 16))
    assert divided.peers["slow"].median == pytest.approx(0.2)
    assert divided.ratios == row.ratios
    assert divided.note == "800 samples/s (slow 5, fast 2000)"
    assert throughput.per_sample(replace(row, peers={}, note="no peers"), 16).note == "800 samples/s; no peers"


def test_a_row_has_peers_and_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    row = throughput.measure_samples(
        replace(LOOK),
        1,
        4,
        lambda: threads.append(cv2.getNumThreads()),
        [Contender("peer", lambda: time.sleep(2e-3))],
        {"task": throughput.Task(logged, ("timed",))},
        suite="degrade",
        filter="chain",
        parameters="",
        dtype="float32",
        shape=(8, 8),
    )
    assert set(threads) == {1}
    assert list(row.peers) == ["peer", "task"]
    assert logs["timed"].numbers[:5] == [0, 1, 2, 3, 0]
    assert row.peers["peer"].median > 4e-4


# The suite


def test_a_level_allows_for_chance_alone() -> None:
    level = suite.Level(20.0, 2.0)
    assert level.holds([21.0] * 16)
    assert level.holds([18.1] * 16)
    assert not level.holds([22.1] * 16)
    assert not level.holds([21.0] * 1600)
    assert not level.holds([float("nan")] * 16)


def test_who_is_off_the_level_is_named() -> None:
    level, image = suite.Level(20.0, 2.0), damage.colours(32)
    found = {OURS: [20.0] * 16, "near": [21.0] * 16, "far": [27.0] * 16}
    told = suite.judged(found, level, image)
    assert (told["equal"], told["inexact_peers"], told["decibels"]["far"]) == (True, ("far",), 27.0)
    assert suite.judged({OURS: found["far"]}, level, image)["equal"] is False


def test_calls_make_every_sample_once() -> None:
    single, batches, stacks = logged("single"), logged("batches"), logged("stacks")
    suite.one_by_one(single, 5)
    suite.every_batch(batches, 3 * suite.BATCH)
    suite.in_batches(lambda images, rng, index, batch_axis, channel_axis: stacks(index), np.zeros(1), 2 * suite.BATCH)
    assert (single.numbers, batches.numbers, stacks.numbers) == ([*range(5)], [0, suite.BATCH, 2 * suite.BATCH], [0, suite.BATCH])


def test_likeness_is_of_the_shrunk_image_and_of_what_has_its_size() -> None:
    image = damage.colours(32)
    small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA)
    assert suite.likeness(small + np.float32(0.1), image, 8) == pytest.approx(20, abs=0.01)
    assert np.isnan(suite.likeness(image, image, 8))
    assert np.isnan(suite.likeness(small.astype(float), image, 8))


def test_augmented_samples_have_the_size_and_the_tone_of_the_image() -> None:
    image = damage.colours(32)
    rng = np.random.default_rng(1)
    right = [image + np.float32(0.01) * rng.standard_normal(image.shape, np.float32) for _ in range(8)]
    assert suite.plausible(right, image, 32)
    assert not suite.plausible(right, image, 31)
    assert not suite.plausible([one * np.float32(1.3) for one in right], image, 32)
    assert not suite.plausible([0.2 + (one - image.mean()) * np.float32(0.5) + image.mean() for one in right], image, 32)
    assert not suite.plausible([one.astype(float) for one in right], image, 32)
    assert not suite.plausible([right[0]] * 8, image, 32)
    right[3][0, 0, 0] = np.nan
    assert not suite.plausible(right, image, 32)


def flipped(run: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    return run(image)[::-1]


def stronger(run: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    return image + np.float32(1.1) * (run(image) - image)


@pytest.mark.parametrize("name", ["GaussianNoise", "PoissonNoise", "SpeckleNoise", "SaltAndPepper"])
def test_noise_is_right_where_its_strength_is(name: str) -> None:
    image = damage.colours()
    (case,) = (case for case in damage.noises() if case.filter == name)
    right, decibels = case.check(image)
    assert right
    if name == "GaussianNoise":
        row = suite.step_row(LOOK, case._replace(peers={}))
        assert (row.equal, row.decibels) == (True, {OURS: decibels})
    for peer in case.peers.values():
        assert case._replace(ours=peer).check(image)[0]
        assert case._replace(ours=partial(stronger, peer)).check(image)[0] is False
    assert case._replace(ours=lambda x: case.ours(x)[:-1]).check(image)[0] is False
    assert case._replace(ours=lambda x: case.ours(x).astype(float)).check(image)[0] is False
    assert case._replace(ours=lambda x: case.ours(x) * np.float32(np.nan)).check(image)[0] is False


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What rows are to be measured of; nobody is timed."""
    rows: list[dict[str, Any]] = []

    def measure(plan: Plan, threads: int, count: int, ours: Any, peers: Any, tasks: Any, **row: Any) -> Row:
        rows.append({"threads": threads, "count": count, "ours": ours, "peers": peers, "tasks": tasks, **row})
        return Row(**row, ours=timing(1.0), ratios=dict.fromkeys([*tasks, *(peer.name for peer in peers)], 2.0))

    monkeypatch.setattr(suite, "measure_samples", measure)
    return rows


def test_rows_of_bsrgan_compare_the_same_work(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsrgan, "WAYS", {suite.PUBLISHED: bsrgan.WAYS["BSRGAN with OpenCV"]})
    alone, together = (suite.bsrgan_row(LOOK, threads) for threads in (1, 2))
    assert (alone.equal, alone.inexact_peers, alone.goal, alone.met) == (True, (), suite.BSRGAN_GOAL, False)
    assert alone.decibels == together.decibels
    assert alone.decibels[OURS] == pytest.approx(alone.decibels[suite.PUBLISHED], abs=2)
    assert [peer.name for peer in told[0]["peers"]] == [suite.IN_BATCHES]
    assert told[1]["peers"] == []
    for row in told:
        row["ours"]()
        assert list(row["tasks"]) == [suite.PUBLISHED]
        throughput.run(row["tasks"][suite.PUBLISHED], range(1))
    assert alone.key != together.key


def test_rows_of_real_esrgan_compare_the_same_work(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def cheap(batch: torch.Tensor, number: int) -> torch.Tensor:
        small = torch.nn.functional.interpolate(batch, size=(64, 64), mode="area")
        return small + 10 ** (-suite.REAL_ESRGAN_LEVEL.mean / 20)

    monkeypatch.setattr(real_esrgan, "degrade", cheap)
    suite.real_esrgan_likenesses.cache_clear()
    row = suite.real_esrgan_row(LOOK, 1)
    suite.real_esrgan_likenesses.cache_clear()
    assert (row.equal, row.inexact_peers, told[0]["count"]) == (True, (), suite.BATCH)
    assert row.decibels[suite.TORCH] == pytest.approx(suite.REAL_ESRGAN_LEVEL.mean, abs=0.01)
    told[0]["ours"]()
    told[0]["peers"][0].run()


@pytest.mark.parametrize("name", ["GaussianBlur", "JPEG", "Resize", "Rotate"])
def test_filters_do_what_others_do(name: str) -> None:
    image = damage.colours()
    found = [case for case in (*damage.filters(), *damage.motions()) if case.filter == name]
    assert found
    for case in found:
        assert case.check(image)[0], case.parameters
        assert not case._replace(reference=partial(flipped, case.ours)).check(image)[0]


def test_a_bent_image_is_another_but_not_quite_another() -> None:
    (case,) = (case for case in damage.motions() if case.filter == "Elastic")
    image = damage.colours()
    assert case.check(image)[0]
    assert case._replace(ours=case.peers[OPENCV]).check(image)[0]
    assert not case._replace(ours=lambda x: x + np.float32(1e-3)).check(image)[0]
    assert not case._replace(ours=lambda x: x[::-1]).check(image)[0]


class Stranger:
    """Augments as ours does, under another name."""

    def __init__(self, chain: str) -> None:
        self.chain, self.number = suite.our_chain(chain), 0

    def __call__(self, image: Any) -> Any:
        self.number += 16
        axis = -1 if isinstance(image, np.ndarray) else None
        return self.chain(image, rng=1, index=self.number, channel_axis=axis)


@pytest.mark.parametrize("chain", augmentation.CHAINS)
def test_rows_of_augmentation_compare_the_same_work(
    chain: str, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "albumentations", Stranger)
    monkeypatch.setattr(augmentation, "kornia", Stranger)
    name = augmentation.ALBUMENTATIONS
    rows = [suite.albumentations_row(LOOK, 1, chain, "uint8"), suite.kornia_row(LOOK, 1, chain)]
    for row, peer in zip(rows, (name, augmentation.KORNIA), strict=True):
        assert (row.equal, row.inexact_peers, row.note) == (True, (), "")
        assert row.goal is not None
        assert row.goal.peer == peer
    for row in told:
        row["ours"]()
        for one in row["peers"]:
            one.run()
    throughput.run(told[0]["tasks"][name], range(2))
    assert len({row.key for row in rows}) == 2


def test_rows_say_who_is_not_installed(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("albumentations", "kornia"):
        monkeypatch.setitem(sys.modules, name, None)
    rows = [
        suite.albumentations_row(LOOK, 2, augmentation.CROPPED, "float32"),
        suite.kornia_row(LOOK, 1, augmentation.CROPPED),
    ]
    assert [row.note for row in rows] == ["Albumentations is not installed", "kornia is not installed"]
    assert [(row.goal, row.met, row.equal) for row in rows] == [(None, None, True)] * 2
    assert [(row["peers"], row["tasks"]) for row in told] == [([], {})] * 2
    told[0]["ours"]()


def test_a_chain_that_does_nothing_is_no_right_one(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "albumentations", lambda chain: lambda image: image)
    row = suite.albumentations_row(LOOK, 1, augmentation.COLOURED, "uint8")
    assert (row.equal, row.inexact_peers) == (True, (augmentation.ALBUMENTATIONS,))


def test_all_rows_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []
    for name in ("bsrgan_row", "real_esrgan_row", "albumentations_row", "kornia_row", "step_row"):
        monkeypatch.setattr(suite, name, lambda plan, *rest, name=name: made.append((name, *rest)) or made[-1])
    quick, full = list(suite.rows(Plan(2, quick=True))), list(suite.rows(Plan(2)))
    assert [row[1] for row in full if row[0] == "bsrgan_row"] == [1, 2]
    assert {row[1] for row in quick if row[0] != "step_row"} == {1}
    assert [row[2:] for row in full if row[0] == "albumentations_row" and row[1] == 2] == [
        (augmentation.TRAINING, "uint8"), (augmentation.TRAINING, "float32"),
    ]  # fmt: skip
    assert len([row for row in quick if row[0] == "kornia_row"]) == 4
    assert len([row for row in full if row[0] == "step_row"]) == len(list(damage.cases()))
