"""Every case on every backend against its oracle."""

from __future__ import annotations

import pytest

from tests.backends import NumpyBackend, TorchBackend
from tests.cases import Case, all_cases


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
def test_case(backend: NumpyBackend, case: Case) -> None:
    backend.check(case)


DTYPE_CASES = [case for case in all_cases() if case.name in ("dtype", "dtype-size5", "where-dtype", "omit-many_nans")]


@pytest.mark.parametrize("case", DTYPE_CASES, ids=lambda case: case.id)
def test_case_on_torch_tensors(case: Case) -> None:
    TorchBackend().check(case)


def test_case_names_are_unique() -> None:
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids))
