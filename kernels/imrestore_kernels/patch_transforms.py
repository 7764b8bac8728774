"""Transforms of square patches as matrices, for CPU and CUDA alike."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

Matrix = np.ndarray[Any, np.dtype[np.float64]]

#: Analysis low-pass of the biorthogonal spline wavelet 1.5 (Cohen, Daubechies and Feauveau 1992); its high-pass is Haar's.
_BIOR15 = np.array([3, -3, -22, 22, 128, 128, 22, -22, -3, 3]) / (128 * np.sqrt(2))


def matrix_of(transform: str, n: int) -> Matrix:
    """The matrix of 'dct' or 'bior1.5'; a patch P becomes T P T'."""
    made: Matrix = dct(n) if transform == "dct" else bior15(n)
    return made


@cache
def dct(n: int) -> Matrix:
    """Orthonormal DCT-II."""
    k, x = np.arange(n)[:, None], np.arange(n)[None]
    matrix: Matrix = np.cos(np.pi * (2 * x + 1) * k / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    matrix.flags.writeable = False
    return matrix


@cache
def bior15(n: int) -> Matrix:
    """Dyadic wavelet transform of all levels with periodic ends, n a power of two; rows have norm 1: noise keeps its variance."""
    matrix = np.eye(n)
    length = n
    while length > 1:
        step = np.zeros((n, n))
        step[length:, length:] = np.eye(n - length)
        for i in range(length // 2):
            for k, tap in enumerate(_BIOR15):
                step[i, (2 * i + k - 4) % length] += tap
            step[length // 2 + i, 2 * i] += np.sqrt(0.5)
            step[length // 2 + i, 2 * i + 1] -= np.sqrt(0.5)
        matrix = step @ matrix
        length //= 2
    matrix[abs(matrix) < 1e-12] = 0
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix.flags.writeable = False
    return matrix
