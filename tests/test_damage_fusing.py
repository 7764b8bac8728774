"""No product and sum are fused on a GPU that are not on a CPU: the bits of both would differ, and no emulator would see it.

NVRTC fuses what it finds, and ptxas may fuse any ``mul`` without a rounding of its own (``mul.rn``) with an addition behind it.
"""

from __future__ import annotations

import math
import re
import struct
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.cuda import _launch, batches

from imrestore import augment
from imrestore.degrade import _run
from tests.cuda_on_cpu import toolchain
from tests.cuda_on_cpu.toolchain import compile_ptx, nvrtc_path, ptxas_path
from tests.damage_steps import CHAINS, NOISE, STEPS

pytestmark = [
    pytest.mark.skipif(nvrtc_path() is None, reason="NVRTC is not installed (nvidia-cuda-nvrtc-cu12)"),
    pytest.mark.skipif(ptxas_path() is None, reason="ptxas is not installed (nvidia-cuda-nvcc-cu12)"),
]

MOVES = augment.Chain(
    [
        augment.Flip(),
        augment.OneOf([augment.Rotate((-20, 20)), augment.Perspective(), augment.Elastic()]),
        augment.Maybe(augment.Scale(interpolation="bicubic")),
        augment.Crop(20),
        augment.ColorJitter(),
        augment.Gamma(),
        augment.Cutout(),
    ]
)
MIXES = augment.OneOf([augment.MixUp(), augment.CutMix()])


class Texts:
    """A backend that runs nothing and keeps what it would have run."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {}

    def launch(self, stem: str, function: str, grid: Any, block: Any, args: Sequence[Any], text: str, shared: int) -> None:
        self.found.setdefault(stem, set()).add(text)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.zeros(shape, dtype)

    def upload(self, table: np.ndarray) -> np.ndarray:
        return table

    def namespace(self) -> Any:
        return np


@cache
def texts() -> dict[str, list[str]]:
    """The kernels of every step there and back, by the file they are in."""
    images = np.full((6, 3, 32, 40), 0.5, np.float32)
    backend, ring = Texts(), _run.ring
    _run.ring = lambda device: batches  # type: ignore[assignment]
    try:
        with _launch.use(backend):
            for step in (*STEPS.values(), *CHAINS.values(), NOISE, MOVES, MIXES):
                step(images, rng=3)
            for step in (*STEPS.values(), NOISE, MOVES):
                tensor = torch.from_numpy(images.copy()).requires_grad_()
                step(tensor, rng=3).sum().backward()
    finally:
        _run.ring = ring
    return {stem: sorted(found) for stem, found in backend.found.items()}


STEMS = ("blurring", "camera", "colours", "curves", "haze", "jpeg", "missing", "mixing", "noising", "resizing", "warping")
_PRODUCT = re.compile(rb"\bmul\.f(?:32|64)\s+%\w+, %\w+, (\S+);")


def exact(factor: bytes) -> bool:
    """Whether a product with it is exact: it is a power of two."""
    if factor[:2] not in (b"0f", b"0d"):
        return False
    number = struct.unpack(">f" if factor[:2] == b"0f" else ">d", bytes.fromhex(factor[2:].decode()))[0]
    return abs(math.frexp(number)[0]) == 0.5


def apart() -> tuple[str, ...]:
    """Options under which only what is written as fused is fused."""
    assert "--fmad=true" in _launch.OPTIONS
    return tuple(option.replace("--fmad=true", "--fmad=false") for option in _launch.OPTIONS)


def code(ptx: bytes, fused: bool, folder: Path) -> bytes:
    source, target = folder / "kernel.ptx", folder / "kernel.cubin"
    source.write_bytes(ptx)
    subprocess.run([str(ptxas_path()), "-arch=sm_90", "--fmad", str(fused).lower(), str(source), "-o", str(target)], check=True)
    return target.read_bytes()


def test_every_file_is_looked_at() -> None:
    assert set(texts()) == set(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_nothing_is_fused_by_the_compiler(stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in texts()[stem]:
        ptx = compile_ptx(text, 90)
        with monkeypatch.context() as patch:
            patch.setattr(toolchain, "OPTIONS", apart())
            assert ptx.count(b"fma.rn") == compile_ptx(text, 90).count(b"fma.rn")
        open_ended = [factor for factor in _PRODUCT.findall(ptx) if not exact(factor)]
        if open_ended:  # ptxas may leave them alone all the same
            assert code(ptx, True, tmp_path) == code(ptx, False, tmp_path)


def test_a_fused_product_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself: a plain product and sum in a kernel are what it fails for."""
    plain = 'extern "C" __global__ void k(float* x) { x[0] = x[1] * x[2] + x[3]; }'
    assert compile_ptx(plain, 90).count(b"fma.rn") == 1
    product = compile_ptx(plain.replace("x[1] * x[2]", "__fmul_rn(x[1], x[2])"), 90)
    assert _PRODUCT.findall(product) == []
    assert b"fma" not in product
    monkeypatch.setattr(toolchain, "OPTIONS", apart())
    assert b"fma" not in compile_ptx(plain, 90)
