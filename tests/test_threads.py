"""Many Python threads at once, and the same bits for every number of threads and in every run."""

from __future__ import annotations

import hashlib
import sys
import threading

import numpy as np
import pytest

import imrestore
from tests import jobs
from tests.calls import FILTERS, fitting, public

CALLS = 1000
THREADS = 16


def test_sixteen_python_threads_of_a_thousand_mixed_calls() -> None:
    expected = [jobs.run(i) for i in range(len(jobs.MIXED))]
    pictures = [jobs.picture(dtype, shape) for _, dtype, shape, _ in jobs.MIXED]
    filters = [getattr(imrestore, name) for name, *_ in jobs.MIXED]
    keywords = [kw for *_, kw in jobs.MIXED]
    wrong: list[tuple[int, int]] = []
    finished: list[int] = []
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        start.wait()
        for call in range(CALLS):
            job = (number * 5 + call) % len(expected)
            if filters[job](pictures[job], **keywords[job]).tobytes() != expected[job]:
                wrong.append((number, call))
        finished.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=240)
    assert wrong == []
    assert sorted(finished) == list(range(THREADS))


def test_large_images_from_many_threads_share_the_pool() -> None:
    expected = jobs.large_digest(1)
    digests: list[str] = []
    workers = [threading.Thread(target=lambda n=n: digests.append(jobs.large_digest(n))) for n in (1, 2, 3, 4, 8, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert digests == [expected] * 6


def test_the_pool_does_not_grow_with_the_callers() -> None:
    jobs.large_digest(4)
    before = {thread.ident for thread in threading.enumerate() if thread.name == "imrestore"}
    workers = [threading.Thread(target=jobs.large_digest, args=(4,)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    after = {thread.ident for thread in threading.enumerate() if thread.name == "imrestore"}
    assert after == before


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize(
    ("name", "window"),
    [("mean", 7), ("median", 3), ("median", 9), ("gaussian", 1.5), ("nl_means", 1), ("bilateral", 1.0), ("bm3d", 2)],
    ids=lambda value: str(value),
)
def test_a_hundred_runs_on_any_number_of_threads_give_one_hash(name: str, window: float, dtype: str) -> None:
    function = public(name)
    image = jobs.picture(dtype, (211, 320))  # more than the smallest job for the pool, at least in the larger windows
    digests = set()
    for threads in (1, 2, 4, 8):
        with imrestore.threads(threads):
            for _ in range(25):
                digests.add(hashlib.sha256(function(image, window).tobytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("rows", [1, 2, 3, 17, 64, 257])
def test_every_split_into_rows_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, name: str, rows: int) -> None:
    """However many strips: also for images that a pool would never be woken for."""
    from imrestore_kernels.cpu import _pool

    function = public(name)
    borders = {"uint8": {}, "float32": {"mode": "wrap"}, "int32": {"mode": "constant", "cval": 3}}
    for dtype, border in borders.items():
        options = border if fitting(name, border) else {}
        image = jobs.picture(dtype, (rows, 70))
        with imrestore.threads(1):
            expected = [function(image, window, **options) for window in (2, 3, 7)]
        monkeypatch.setattr(_pool, "SERIAL_WORK", 0)
        with imrestore.threads(40):
            for window, whole in zip((2, 3, 7), expected, strict=True):
                np.testing.assert_array_equal(function(image, window, **options), whole)
        monkeypatch.undo()


def test_threads_compiling_the_same_kernel_at_once_agree() -> None:
    image = jobs.picture("uint16", (33, 34))
    results: list[bytes] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        results.append(imrestore.median(image, (5, 7), rank=11).tobytes())  # a window no other test compiles

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert len(results) == 8
    assert len(set(results)) == 1


def test_switching_threads_at_every_turn_changes_nothing() -> None:
    interval = sys.getswitchinterval()
    expected = jobs.large_digest(1)
    sys.setswitchinterval(1e-6)
    digests = [jobs.large_digest(3) for _ in range(3)]
    sys.setswitchinterval(interval)
    assert digests == [expected] * 3
