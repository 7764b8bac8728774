"""The native half of the thread pool: arguments, failures, interrupts, idle and crowded pools."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from imrestore_kernels.cpu import _crew, _pool
from imrestore_kernels.cpu._jit import compile_rows
from numba import types

import imrestore

NUMBERS = {
    np.dtype(np.float32): types.float32,
    np.dtype(np.float64): types.float64,
    np.dtype(np.int8): types.int8,
    np.dtype(np.uint8): types.uint8,
    np.dtype(np.int16): types.int16,
    np.dtype(np.uint16): types.uint16,
    np.dtype(np.int32): types.int32,
    np.dtype(np.uint32): types.uint32,
    np.dtype(np.int64): types.int64,
    np.dtype(np.uint64): types.uint64,
}


def in_pool(kernel: object, args: tuple[object, ...], rows: int, threads: int = 4) -> None:
    with imrestore.threads(threads):
        _pool.run_rows(kernel, args, rows, 1e12)


@pytest.mark.parametrize("dtype", list(NUMBERS), ids=str)
def test_numbers_and_arrays_arrive_as_they_left(dtype: np.dtype) -> None:
    def write(one, truth, two, last, out, start, stop):  # type: ignore[no-untyped-def]
        for y in range(start, stop):
            out[y, 0] = one if truth else last
            out[y, 1] = two[0, y, 1]
            out[y, 2] = last
            out[y, 3] = two.shape[0] * 100 + two.shape[1] + two.shape[2] + two.strides[1] // two.itemsize

    number = NUMBERS[dtype]
    kernel = compile_rows(
        write, f"test_crew_{dtype}", number, types.boolean, types.Array(number, 3, "A", readonly=True), number,
        number[:, ::1], types.intp, types.intp,
    )  # fmt: skip
    info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    rows = 21
    values = np.arange(1 * rows * 9).reshape(1, rows, 9).astype(dtype)[:, :, ::3]
    for truth in (True, np.False_):
        out = np.zeros((rows, 4), dtype)
        in_pool(kernel, (info.max, truth, values, info.min, out), rows)
        expected = np.empty_like(out)
        expected[:, 0] = info.max if truth else info.min
        expected[:, 1] = values[0, :, 1]
        expected[:, 2] = info.min
        expected[:, 3] = np.asarray(100 + rows + 3 + 9).astype(dtype)
        np.testing.assert_array_equal(out, expected)


def test_other_arguments_are_refused() -> None:
    def nothing(pair, start, stop):  # type: ignore[no-untyped-def]
        pass

    kernel = compile_rows(nothing, "test_crew_tuple", types.UniTuple(types.int64, 2), types.intp, types.intp)
    with pytest.raises(TypeError, match="arrays and numbers, not UniTuple"):
        in_pool(kernel, ((1, 2),), 10)


def test_a_compiled_kernel_that_fails_says_so_and_the_pool_goes_on() -> None:
    def broken(out, bad, start, stop):  # type: ignore[no-untyped-def]
        for y in range(start, stop):
            if y == bad:
                raise MemoryError("row")
            out[y] += 1

    kernel = compile_rows(broken, "test_crew_broken", types.int64[::1], types.int64, types.intp, types.intp)
    for bad in (0, 17, 99):
        with pytest.raises(MemoryError, match="row"):
            in_pool(kernel, (np.zeros(100, np.int64), bad), 100)
    out = np.zeros(100, np.int64)
    in_pool(kernel, (out, -1), 100)
    np.testing.assert_array_equal(out, 1)


def adder() -> object:
    def add(out, amount, start, stop):  # type: ignore[no-untyped-def]
        for y in range(start, stop):
            out[y] += amount

    return compile_rows(add, "test_crew_add", types.int64[::1], types.int64, types.intp, types.intp)


@pytest.mark.parametrize("pause", [0.0, 2e-5, 2e-4, 3e-3], ids="{}s".format)
def test_jobs_one_after_another(pause: float) -> None:
    """With every pause between them: workers that still watch, that are about to leave, that sleep."""
    kernel = adder()
    out = np.zeros(37, np.int64)
    calls = 3000 if pause < 1e-3 else 100
    for i in range(calls):
        in_pool(kernel, (out, 1), 37, threads=2 + i % 3)
        if (out != i + 1).any():
            break
        end = time.perf_counter() + pause
        while time.perf_counter() < end:
            pass
    np.testing.assert_array_equal(out, calls)


@pytest.mark.parametrize("callers", [2, 5, 16])
def test_jobs_of_many_callers_at_once(callers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = adder()
    monkeypatch.setattr(_pool._the_pool(), "_cores", 64)  # workers watch although there are more of them than cores
    outs = [np.zeros(50 + i, np.int64) for i in range(callers)]
    barrier = threading.Barrier(callers)

    def call(out: np.ndarray, amount: int) -> None:
        barrier.wait()
        for _ in range(400):
            in_pool(kernel, (out, amount), len(out), threads=3)

    threads = [threading.Thread(target=call, args=(out, i + 1)) for i, out in enumerate(outs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    for i, out in enumerate(outs):
        np.testing.assert_array_equal(out, 400 * (i + 1))
    assert _pool._the_pool()._running == {}


def test_idle_workers_go_to_sleep() -> None:
    kernel = adder()
    out = np.zeros(64, np.int64)
    in_pool(kernel, (out, 1), 64)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
    boxes = _pool._the_pool()
    assert all(boxes._boxes[i] == 0 for i in range(len(boxes._boxes)))


def test_constants_of_the_two_halves_agree() -> None:
    slots = [slot.value for slot in _crew.Slot]
    assert len(set(slots)) == len(slots)
    assert max(slots) == _crew.Slot.ARGUMENTS
    shared = {slot.value // 8 for slot in (_crew.Slot.NEXT, _crew.Slot.DONE, _crew.Slot.LEFT)}
    assert len(shared) == 3
    assert 0 not in shared


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
import imrestore
from imrestore_kernels.cpu import _pool

finished, both_at_work, caller_done = [], threading.Barrier(2), threading.Event()
def last(start, stop):
    both_at_work.wait(30)
    if threading.current_thread() is threading.main_thread():
        finished.append(start)
        caller_done.set()
        return
    caller_done.wait(30)
    time.sleep(0.2)  # by now the caller waits for this strip
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    finished.append(start)

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
with imrestore.threads(2):
    try:
        _pool.run_rows(last, (), 2, 1e12)
    except KeyboardInterrupt:
        print("interrupted", sorted(finished))
    a = np.random.default_rng(0).random((700, 700))
    assert (imrestore.mean(a, 5) == imrestore.mean(a.copy(), 5)).all()
print("done")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_waits_until_nobody_writes_any_more() -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["interrupted [0, 1]", "done"]


EXIT = """
import threading
import numpy as np
import imrestore
imrestore.set_num_threads(3)
a = np.zeros((1500, 1500), np.float32)
imrestore.mean(a, 5)
def forever():
    while True:
        imrestore.mean(a, 5)
for _ in range(2):
    threading.Thread(target=forever, daemon=True).start()
import time
time.sleep({seconds})
"""


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.1])
def test_the_interpreter_ends_while_threads_work(seconds: float) -> None:
    program = EXIT.format(seconds=seconds)
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stderr) == (0, "")



@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_workers_are_woken_on_other_cores_and_then_free_again() -> None:
    cores = os.sched_getaffinity(0)
    kernel = adder()
    out = np.zeros(64, np.int64)
    for i in range(20):
        in_pool(kernel, (out, 1), 64, threads=3)
        time.sleep(0.01 * (i % 2))
    pool = _pool._the_pool()
    assert len(pool._threads) == pool._workers
    time.sleep(0.05)
    in_pool(kernel, (out, 1), 64, threads=3)
    if len(cores) > 1:
        assert pool._anywhere == cores
    np.testing.assert_array_equal(out, 21)
    allowed = [os.sched_getaffinity(thread) for thread in pool._threads]
    assert all(one <= cores and len(one) >= len(cores) - 1 for one in allowed)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_process_on_one_core_stays_there() -> None:
    program = """
import os, numpy, imrestore
core = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {core})
imrestore.set_num_threads(3)
a = numpy.random.default_rng(0).random((800, 800))
for _ in range(5):
    imrestore.mean(a, 5)
from imrestore_kernels.cpu import _pool
threads = _pool._the_pool()._threads
print(len(threads), {tuple(os.sched_getaffinity(thread)) for thread in threads} == {(core,)})
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "2 True"), result.stderr
