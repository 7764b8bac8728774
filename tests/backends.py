"""Places a case can run: every one is held to the same oracle, array kind, device and untouched input."""

from __future__ import annotations

from typing import Any

import numpy as np

import imrestore
from tests import oracles
from tests.cases import Case


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shape, dtype and bytes: tells NaNs and signed zeros apart, which ``==`` does not."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


class NumpyBackend:
    """The public functions on ``numpy.ndarray``."""

    name = "numpy"

    def to_device(self, array: np.ndarray) -> Any:
        return array.copy()

    def to_host(self, array: Any) -> np.ndarray:
        return array

    def place(self, array: Any) -> tuple[Any, ...]:
        """What has to be the same for the input and the result."""
        return (type(array), np.dtype(array.dtype), tuple(array.shape))

    def check(self, case: Case) -> None:
        image, keywords = case.image(), case.keywords()
        given = {key: self.to_device(value) if key in ("where", "guide") else value for key, value in keywords.items()}
        source = self.to_device(image)
        with np.errstate(all="raise"):  # a caller's choice that is none of the filters' business
            result = getattr(imrestore, case.filter)(source, **given)
        assert self.place(result) == self.place(source)
        getattr(oracles, case.filter)(image, **keywords).assert_matches(self.to_host(result))
        assert same_bits(self.to_host(source), image), "the input was written to"
        for name in ("where", "guide"):
            if name in keywords:
                assert same_bits(self.to_host(given[name]), keywords[name]), f"{name} was written to"


class CupyBackend(NumpyBackend):
    """The public functions on ``cupy.ndarray``: CUDA kernels on a GPU."""

    name = "cupy"

    def to_device(self, array: np.ndarray) -> Any:
        import cupy

        return cupy.asarray(array)

    def to_host(self, array: Any) -> np.ndarray:
        return array.get()

    def place(self, array: Any) -> tuple[Any, ...]:
        return (*super().place(array), array.device.id)


class TorchBackend(NumpyBackend):
    """The public functions on CPU tensors."""

    name = "torch"

    def to_device(self, array: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(array.copy())

    def to_host(self, array: Any) -> np.ndarray:
        return array.numpy()

    def place(self, array: Any) -> tuple[Any, ...]:
        return (type(array), array.dtype, tuple(array.shape), array.device)
