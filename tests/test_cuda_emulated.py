"""The CUDA kernels without a GPU: the case table and what it leaves open, run by the CPU emulator.

Every case runs with the threads of a block in three orders: equal bits prove that no barrier is missing. Case and
oracle are those of all other backends, so is the public function in front of the kernels.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.cases import Case, gaussian, mean, median
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")

CASES = (*mean.CASES, *gaussian.CASES, *median.CASES)
FILTERS = ("mean", "gaussian", "median")


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions hand NumPy arrays to the CUDA launchers."""
    for name in FILTERS:
        launcher = getattr(importlib.import_module(f"imrestore_kernels.cuda.{name}"), name)
        monkeypatch.setattr(importlib.import_module(f"imrestore_kernels.cpu.{name}"), name, launcher)


def run(filter_name: str, image: np.ndarray, order: str, **keywords: Any) -> tuple[np.ndarray, list[str]]:
    """The public function with its kernels emulated, and the kernels that ran."""
    if keywords.get("axes") is None and keywords.get("channel_axis") is None:
        keywords["axes"] = tuple(range(image.ndim))  # calls that name their axes are not replayed by a CPU plan
    emulator = Emulator(order)
    with _launch.use(emulator):
        result = getattr(imrestore, filter_name)(image, **keywords)
    return result, emulator.launches


@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case) -> None:
    image, keywords = case.image(), case.keywords()
    results = []
    for order in ORDERS:
        result, launches = run(case.filter, image, order, **keywords)
        assert launches, "no CUDA kernel ran"
        results.append(result)
    getattr(oracles, case.filter)(image, **keywords).assert_matches(results[0])
    assert all(same_bits(results[0], other) for other in results[1:]), "the result depends on the order of the threads"
    assert same_bits(image, case.image()), "the input was written to"
