"""Backends, the GPU rule and Hypothesis settings for all tests."""

from __future__ import annotations

import importlib.util

import hypothesis
import pytest

from tests.backends import CupyBackend, NumpyBackend

# The same examples in every run: a red build is red again on the next machine. No example database in the tree.
hypothesis.settings.register_profile(
    "imrestore",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,  # a new window is a new kernel: most of the time goes into compiling
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
# make fuzz-like runs by hand: pytest --hypothesis-profile=long
hypothesis.settings.register_profile("long", database=None, deadline=None, max_examples=5000)
hypothesis.settings.load_profile("imrestore")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-gpu", action="store_true", help="fail, do not skip, where there is no CUDA device")


def why_no_gpu() -> str | None:
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    import cupy

    return None if cupy.is_available() else "no CUDA device"


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest) -> None:
    """Skips without a CUDA device, or fails under ``--require-gpu``."""
    reason = why_no_gpu()
    if reason is not None and request.config.getoption("--require-gpu"):
        pytest.fail(reason, pytrace=False)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(params=["numpy", pytest.param("cupy", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> NumpyBackend:
    """Every backend that can run here; `tests.backends` says what each of them is held to."""
    if request.param == "numpy":
        return NumpyBackend()
    request.getfixturevalue("gpu")
    return CupyBackend()
