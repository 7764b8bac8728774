"""The number of threads: set, read, bounded, local where it has to be."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from imrestore_kernels.cpu import _pool, _thread_count

import imrestore


@pytest.fixture(autouse=True)
def restore_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread_count, "_configured", _thread_count._configured)


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "IMRESTORE_NUM_THREADS"} | environment
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)


PRINT = "import imrestore; print(imrestore.get_num_threads())"


def test_the_default_is_the_cores_of_this_process() -> None:
    assert int(python(PRINT).stdout) == _thread_count.available_cores()
    one_core = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + PRINT
    assert int(python(one_core).stdout) == 1


@pytest.mark.parametrize(("text", "threads"), [("1", 1), ("7", 7), (" 3 ", 3), ("1024", 1024)])
def test_the_environment_sets_it(text: str, threads: int) -> None:
    assert int(python(PRINT, IMRESTORE_NUM_THREADS=text).stdout) == threads


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_environment_variable_is_none(text: str) -> None:
    assert int(python(PRINT, IMRESTORE_NUM_THREADS=text).stdout) == _thread_count.available_cores()


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "two", "2.5", "1e3", "nan", "0x2", "1,2", "٣", "1025", "1000000", "9" * 5000],
    ids=lambda text: text[:9],
)
def test_nonsense_in_the_environment_is_an_error_that_names_it(text: str) -> None:
    import_only = python("import imrestore", IMRESTORE_NUM_THREADS=text)
    assert import_only.returncode == 0
    done = python(PRINT, IMRESTORE_NUM_THREADS=text)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ValueError: IMRESTORE_NUM_THREADS is ")


def test_setting_wins_over_the_environment() -> None:
    program = "import imrestore; imrestore.set_num_threads(5); print(imrestore.get_num_threads())"
    assert int(python(program, IMRESTORE_NUM_THREADS="2").stdout) == 5


@pytest.mark.parametrize(
    "n",
    [0, -1, 1025, 10**9, 10**5000, 2.0, 1.5, float("nan"), "2", b"2", None, True, [2], (1, 2), 1j, object(), {}, int],
    ids=lambda n: "10**5000" if isinstance(n, int) and n > 10**9 else None,
)  # fmt: skip
def test_bad_numbers_are_refused(n: object) -> None:
    before = imrestore.get_num_threads()
    with pytest.raises((TypeError, ValueError), match=r"^n "):
        imrestore.set_num_threads(n)
    with pytest.raises((TypeError, ValueError), match=r"^n "), imrestore.threads(n):
        pass
    assert imrestore.get_num_threads() == before


def test_threads_is_undone_at_the_end_and_after_an_error() -> None:
    imrestore.set_num_threads(3)
    with imrestore.threads(5):
        assert imrestore.get_num_threads() == 5
        with imrestore.threads(np.int64(1)):
            assert imrestore.get_num_threads() == 1
        assert imrestore.get_num_threads() == 5
    assert imrestore.get_num_threads() == 3
    with pytest.raises(KeyError), imrestore.threads(5):
        raise KeyError
    assert imrestore.get_num_threads() == 3


def test_threads_is_local_to_the_thread() -> None:
    imrestore.set_num_threads(3)
    seen = []
    with imrestore.threads(7):
        other = threading.Thread(target=lambda: seen.append(imrestore.get_num_threads()))
        other.start()
        other.join()
    assert seen == [3]


def test_threads_is_local_to_the_task() -> None:
    async def inside(n: int) -> int:
        with imrestore.threads(n):
            await asyncio.sleep(0.01)
            return imrestore.get_num_threads()

    async def both() -> list[int]:
        return await asyncio.gather(inside(2), inside(9))

    assert asyncio.run(both()) == [2, 9]


@pytest.mark.parametrize("rows", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 8, 1024])
@pytest.mark.parametrize("least", [1, 5, 100])
def test_every_row_is_done_once(rows: int, threads: int, least: int) -> None:
    done = np.zeros(rows, np.int64)

    def kernel(start: int, stop: int) -> None:
        assert 0 <= start < stop <= rows
        done[start:stop] += 1

    with imrestore.threads(min(threads, 40)):
        _pool.run_rows(kernel, (), rows, 1e12, least)
    np.testing.assert_array_equal(done, 1)


def test_small_jobs_stay_in_the_caller_and_large_ones_do_not() -> None:
    names = set()

    def kernel(start: int, stop: int) -> None:
        names.add(threading.current_thread().name)
        threading.Event().wait(0.02)

    with imrestore.threads(4):
        _pool.run_rows(kernel, (), 64, _pool.SERIAL_WORK - 1)
        assert names == {threading.current_thread().name}
        _pool.run_rows(kernel, (), 64, _pool.SERIAL_WORK)
    assert 2 <= len(names) <= 4
    names.clear()
    with imrestore.threads(1):
        _pool.run_rows(kernel, (), 4, 1e12)
    assert names == {threading.current_thread().name}


def test_an_error_in_a_strip_reaches_the_caller_and_the_pool_goes_on() -> None:
    def broken(start: int, stop: int) -> None:
        if start:
            raise MemoryError("strip")

    with imrestore.threads(3):
        for _ in range(3):
            with pytest.raises(MemoryError, match="strip"):
                _pool.run_rows(broken, (), 100, 1e12)
        done = []
        _pool.run_rows(lambda start, stop: done.append(stop - start), (), 100, 1e12)
    assert sum(done) == 100


def test_kernels_called_from_a_kernel_are_serial() -> None:
    inner = []

    def outer(start: int, stop: int) -> None:
        threading.Event().wait(0.01)
        _pool.run_rows(lambda a, b: inner.append((threading.current_thread().name, a, b)), (), 50, 1e12)

    with imrestore.threads(3):
        _pool.run_rows(outer, (), 12, 1e12)
    in_pool = [(a, b) for name, a, b in inner if name == "imrestore"]
    assert in_pool
    assert set(in_pool) == {(0, 50)}
