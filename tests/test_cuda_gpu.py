"""What only a GPU can show; the case table runs there in test_filters.py.

Without a device these tests skip, under ``--require-gpu`` they fail.
"""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda.mean import mean as mean_kernel

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.cases import Case, bilateral, gaussian, mean, median, nl_means

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


def on_gpu(case: Case) -> np.ndarray:
    import cupy

    keywords = {key: cupy.asarray(value) if key == "where" else value for key, value in case.keywords().items()}
    return getattr(imrestore, case.filter)(cupy.asarray(case.image()), **keywords).get()


def picture(dtype: str, shape: tuple[int, ...] = (300, 401)) -> np.ndarray:
    return (np.random.default_rng(11).random(shape) * 250).astype(dtype)


def test_ranks_have_the_value_they_have_on_the_cpu() -> None:
    different = []
    for case in median.CASES:
        image, keywords = case.image(), case.keywords()
        on_cpu = imrestore.median(image, **keywords)
        if not np.array_equal(on_gpu(case), on_cpu, equal_nan=image.dtype.kind == "f"):
            different.append(case.id)
    assert different == []


def test_every_run_gives_the_same_bits() -> None:
    cases = (*mean.CASES, *gaussian.CASES, *median.CASES, *nl_means.CASES, *bilateral.CASES)
    assert [case.id for case in cases if not same_bits(on_gpu(case), on_gpu(case))] == []


@pytest.mark.parametrize("size", [3, 5, 7, 15, 31, 101])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_medians_of_a_picture_of_many_blocks(dtype: str, size: int) -> None:
    import cupy

    image = picture(dtype, (700, 1025))
    np.testing.assert_array_equal(imrestore.median(cupy.asarray(image), size).get(), imrestore.median(image, size))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_sums_of_a_picture_of_many_blocks(dtype: str) -> None:
    import cupy

    image = picture(dtype)
    for size in (3, 8, 31, 65, 90):
        oracles.mean(image, size).assert_matches(imrestore.mean(cupy.asarray(image), size).get())
    for sigma in (1, 2, 5, 8):
        oracles.gaussian(image, sigma).assert_matches(imrestore.gaussian(cupy.asarray(image), sigma).get())


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(70, 301), (41, 150, 3)])
def test_similarities_of_a_picture_of_many_blocks(shape: tuple[int, ...], dtype: str) -> None:
    import cupy

    image = picture(dtype, shape)
    channel_axis = 2 if len(shape) == 3 else None
    for weights in ("uniform", "gaussian"):
        for size, distance in ((1, 3), (4, 2), (7, 3)):
            keywords = {"patch_size": size, "patch_distance": distance, "patch_weights": weights, "channel_axis": channel_axis}
            result = imrestore.nl_means(cupy.asarray(image), 20.0, h=60.0, **keywords).get()
            oracles.nl_means(image, 20.0, h=60.0, **keywords).assert_matches(result)
    for sigma in (1, 3):
        result = imrestore.bilateral(cupy.asarray(image), 40.0, sigma, channel_axis=channel_axis).get()
        oracles.bilateral(image, 40.0, sigma, channel_axis=channel_axis).assert_matches(result)


def test_work_is_queued_on_the_current_stream() -> None:
    import cupy

    image = picture("float32", (2000, 2000))
    expected = imrestore.median(cupy.asarray(image), 5).get()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        source = cupy.zeros(image.shape, image.dtype)
        source.set(image, stream=stream)
        result = imrestore.median(source, 5)  # ordered behind the copy on this stream only
        got = result.get(stream=stream)
    stream.synchronize()
    assert same_bits(got, expected)


def test_threads_compile_and_run_side_by_side() -> None:
    import cupy

    image = picture("uint16")
    expected = {size: imrestore.median(image, size) for size in (3, 4, 5, 6)}
    wrong: list[int] = []
    ready = threading.Barrier(8)

    def work(turn: int) -> None:
        size = 3 + turn % 4
        source = cupy.asarray(image)
        ready.wait()
        results = [imrestore.median(source, size).get() for _ in range(20)]
        wrong.extend(size for result in results if not same_bits(result, expected[size]))

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("filter_name", ["mean", "gaussian", "median"])
def test_arrays_beyond_two_to_the_31_samples(filter_name: str) -> None:
    import cupy

    rows, columns = 70_000, 30_700
    if cupy.cuda.runtime.memGetInfo()[0] < 3 * rows * columns:
        pytest.skip("not enough device memory")
    image = cupy.zeros((rows, columns), np.uint8)
    corners = picture("uint8", (2, 64, 64))
    image[:64, :64], image[-64:, -64:] = cupy.asarray(corners[0]), cupy.asarray(corners[1])
    result = getattr(imrestore, filter_name)(image, 3)
    reach = 9 if filter_name == "gaussian" else 1
    for corner, got, inner in (
        (corners[0], result[:64, :64], np.s_[: 64 - reach - 4, : 64 - reach - 4]),
        (corners[1], result[-64:, -64:], np.s_[reach + 4 :, reach + 4 :]),
    ):
        expected = getattr(imrestore, filter_name)(corner, 3)
        assert same_bits(got.get()[inner], expected[inner])


def expect_an_error_that_names_spawn(image: Any) -> None:
    with pytest.raises(RuntimeError, match="spawn"):
        mean_kernel(image, image, (3, 3), 0, 0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_told_to_use_spawn() -> None:
    import cupy

    image = cupy.zeros((1, 4, 4, 1))
    mean_kernel(image, cupy.empty_like(image), (3, 3), 0, 0)
    child = multiprocessing.get_context("fork").Process(target=expect_an_error_that_names_spawn, args=(image,))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
