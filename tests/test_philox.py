"""The generator: Random123's known answers, the order of fields, and the same numbers in NumPy, CPU kernels and CUDA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from imrestore_kernels import philox
from imrestore_kernels.cpu import _philox
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cuda import _launch
from numba import types

from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.damage_numbers import arguments, exponents, reference, same_numbers

#: Key and counter as 64-bit seed and index, stream and block, and the words (kat_vectors of Random123, philox4x32 with 10 rounds).
KNOWN = (
    (0, 0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (2**64 - 1, 2**64 - 1, 2**32 - 1, 2**32 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3, 0x243F6A88, "d16cfe09 94fdcceb 5001e420 24126ea1"),
)
SEED, INDEX, STREAM = 0x123456789ABCDEF0, 2**40 + 7, 77


@pytest.mark.parametrize(("seed", "index", "stream", "block", "words"), KNOWN)
def test_known_answers(seed: int, index: int, stream: int, block: int, words: str) -> None:
    assert [f"{w:08x}" for w in philox.words(seed, index, stream, block)] == words.split()
    signed = [(v ^ 1 << 63) - (1 << 63) for v in (seed, index)]
    np.testing.assert_array_equal(philox.words(signed[0], index, stream, block), philox.words(seed, index, stream, block))
    drawn = _philox.draws(seed, np.array([index], np.uint64), np.array([stream]), 4)
    np.testing.assert_array_equal(drawn, philox.parameters(signed[0], [index], [stream], 4))


def test_order_of_a_field() -> None:
    field = philox.field(SEED, INDEX, STREAM, 200)
    assert field.dtype == np.uint32
    for p in (0, 1, 15, 16, 63, 64, 130, 199):
        block = 16 * (p // 64) + p % 64 % 16
        assert field[p] == philox.words(SEED, INDEX, STREAM, block)[p % 64 // 16]
    np.testing.assert_array_equal(philox.field(SEED, INDEX, STREAM, 1), field[:1])


def test_parameters_are_in_plain_order() -> None:
    drawn = philox.parameters(SEED, [INDEX, 3], [STREAM, 2], 6)
    assert drawn.shape == (2, 2, 6)
    assert drawn[1, 0, 5] == (int(philox.words(SEED, 3, STREAM, 1)[1]) + 0.5) * 2.0**-32
    assert same_bits(_philox.draws(SEED, np.array([INDEX, 3]), np.array([STREAM, 2]), 6), drawn)
    assert _philox.draws(SEED, np.zeros(0, np.int64), np.array([2]), 3).shape == (0, 1, 3)


def test_normal_numbers_are_box_and_mullers() -> None:
    u = philox.uniforms(SEED, INDEX, STREAM, 64, np.float64)
    n = philox.normals(SEED, INDEX, STREAM, 64)
    assert n.dtype == np.float32
    for first, second in ((0, 16), (32, 48)):
        for i in range(16):
            radius, angle = np.sqrt(-2 * np.log(u[first + i])), 2 * np.pi * u[second + i]
            expected = radius * np.cos(angle), radius * np.sin(angle)
            np.testing.assert_allclose((n[first + i], n[second + i]), expected, rtol=0, atol=3e-6)


def test_distribution() -> None:
    """Of one field, and none of its neighbours in seed, index or stream says anything about it."""
    count = 200_000
    n = philox.normals(1, 2, 3, count)
    assert scipy.stats.kstest(n, "norm").pvalue > 1e-3
    assert scipy.stats.kstest(philox.uniforms(1, 2, 3, count, np.float64), "uniform").pvalue > 1e-3
    others = [philox.normals(*key, count) for key in ((2, 2, 3), (1, 3, 3), (1, 2, 4), (1 + 2**32, 2, 3), (1, 2 + 2**32, 3))]
    others += [np.roll(n, shift) for shift in (1, 16, 32, 64)]
    for other in others:
        assert abs(np.corrcoef(n, other)[0, 1]) < 5 / np.sqrt(count)
        assert abs(np.corrcoef(n**2, other**2)[0, 1]) < 5 / np.sqrt(count)


FILLS: dict[str, tuple[str, str, Any]] = {
    "words": ("fill_words", "uint32", philox.field),
    "uniforms": ("fill_uniforms", "float32", philox.uniforms),
    "uniforms64": ("fill_uniforms", "float64", lambda *key: philox.uniforms(*key, np.float64)),
    "normals": ("fill_normals", "float32", philox.normals),
}


@pytest.mark.parametrize("register_bytes", [32, 64])
@pytest.mark.parametrize("name", FILLS)
def test_kernels_have_the_same_bits(name: str, register_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_philox, "register_bytes", lambda: register_bytes)
    function, dtype, expected = FILLS[name]
    fill = getattr(_philox, function)

    def rows(out: Any, seed: int, index: int, stream: int, row_start: int, row_stop: int) -> None:
        fill(out, seed, index, stream, row_start, row_stop - row_start)

    number = types.int64
    kernel = compile_rows(rows, f"test_{name}_{register_bytes}", getattr(types, dtype)[::1], *[number] * 3, types.intp, types.intp)
    out = np.full(4 * 64 + 1, 7, dtype)
    kernel(out, SEED, INDEX, STREAM, 3, 7)
    assert same_bits(out[:-1], expected(SEED, INDEX, STREAM, 7 * 64)[3 * 64 :])
    assert out[-1] == 7


_KERNEL = """
#include "poisson.cuh"
extern "C" __global__ void numbers(const T* x, const T* p, T* out, float* normals, unsigned* words, T* uniforms, long long count,
                                   long long seed, long long index, long long stream) {
    const Philox philox(seed, index, stream);
    for (long long i = threadIdx.x; i < count; i += blockDim.x) {
        out[i] = own_exp2(x[i]);
        out[count + i] = own_exp(x[i]);
        out[2 * count + i] = own_log(x[i]);
        out[3 * count + i] = own_log2(x[i]);
        own_sincos(x[i], out[4 * count + i], out[5 * count + i]);
        out[6 * count + i] = own_power(x[i], p[i]);
        normals[i] = philox.normal(i);
        words[i] = philox.word(i);
        uniforms[i] = Philox::uniform<T>(words[i]);
    }
}
"""


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cuda_has_the_same_bits(dtype: str) -> None:
    text = f"#define T {'float' if dtype == 'float32' else 'double'}\n" + _launch.inline(_KERNEL, "numbers.cu")
    x, p = arguments(dtype), exponents(dtype)
    out, uniforms = np.zeros((7, x.size), dtype), np.zeros(x.size, dtype)
    normals, words = np.zeros(x.size, np.float32), np.zeros(x.size, np.uint32)
    key = [np.int64(v) for v in (x.size, SEED, INDEX, STREAM)]
    Emulator().launch("numbers", "numbers", (1, 1, 1), (64, 1, 1), [x, p, out, normals, words, uniforms, *key], text, 0)
    same_numbers(out, reference(x, p))
    assert same_bits(normals, philox.normals(SEED, INDEX, STREAM, x.size))
    assert same_bits(words, philox.field(SEED, INDEX, STREAM, x.size))
    assert same_bits(uniforms, philox.uniforms(SEED, INDEX, STREAM, x.size, np.dtype(dtype)))
