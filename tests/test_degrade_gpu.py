"""Damage on a GPU: the bits of the CPU, for CuPy's arrays and torch's tensors, and gradients.

Without a device these tests skip, under ``--require-gpu`` they fail.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends import same_bits
from tests.damage_steps import CHAINS, NOISE, STEPS, photograph
from tests.test_degrade_run import GRADIENTS, batch_of

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

ALL = {"noise": NOISE, **STEPS, **CHAINS}

def pictures() -> np.ndarray:
    return np.stack([photograph(96, 120)[:, ::step] if step < 0 else photograph(96, 120) for step in (1, -1) * 8])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_cupy_makes_the_bits_of_numpy(name: str, dtype: str) -> None:
    import cupy

    images = (pictures() * 255).astype(dtype) if dtype == "uint8" else pictures().astype(dtype)
    result = ALL[name](cupy.asarray(images), rng=7, index=100)
    assert isinstance(result, cupy.ndarray)
    assert same_bits(result.get(), ALL[name](images, rng=7, index=100))


@pytest.mark.parametrize("name", ["bsrgan", "noise"])
def test_tensors_stay_on_their_device_and_stream(name: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.fail("this torch has no CUDA")
    images = pictures()
    wanted = ALL[name](images, rng=7)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        on_device = torch.from_numpy(images).pin_memory().to("cuda", non_blocking=True)  # ordered on this stream only
        result = ALL[name](on_device, rng=7)
        assert result.device == on_device.device
        got = result.cpu()
    assert same_bits(got.numpy(), wanted)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    torch = pytest.importorskip("torch")
    images, weights = batch_of(3, 3, 40, 36), batch_of(3, 3, 40, 36)

    def gradient(device: str) -> Any:
        image = torch.from_numpy(images.copy()).to(device).requires_grad_()
        (GRADIENTS[name](image, rng=3) * torch.from_numpy(weights).to(device)).sum().backward()
        return image.grad.cpu().numpy()

    assert same_bits(gradient("cuda"), gradient("cpu"))


def test_scratch_for_tensors_is_torchs_own() -> None:
    """Two pools of memory on one device starve each other."""
    cupy, torch = pytest.importorskip("cupy"), pytest.importorskip("torch")
    images = torch.from_numpy(pictures()).cuda()
    before = cupy.get_default_memory_pool().total_bytes()
    ALL["bsrgan"](images, rng=1)
    assert cupy.get_default_memory_pool().total_bytes() == before
