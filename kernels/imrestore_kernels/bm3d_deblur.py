"""Deblurring by BM3D: inverse filters that leave coloured noise, and BM3D that knows its spectrum.

After K. Dabov, A. Foi, V. Katkovnik and K. Egiazarian, "Image restoration by sparse 3D transform-domain collaborative
filtering", SPIE Electronic Imaging 2008. With H the transfer function of the blur and Z the spectrum of the image:

1. Z conj(H) / (|H|^2 + e) is the regularised inverse, e = `REGULAR` times the ratio of the variances of noise and image. Its
   noise has the power spectrum of the noise times the square of that filter. BM3D's first stage with it gives a first estimate.
2. Z conj(H) / (|H|^2 + w) is Wiener's inverse for the spectrum |Y|^2 of that estimate, w = `WIENER` times noise / |Y|^2. BM3D's
   second stage with its noise, guided by the first estimate, gives the result.

Channels share their filters: |Y|^2 is their mean in units of their noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.bm3d_driver import Backend, Progress, Request, as_numpy, restore, write
from imrestore_kernels.bm3d_noise import autocorrelation_on_torus
from imrestore_kernels.bm3d_profiles import Profile

#: Chosen on pictures of Train400 (`benches/bm3d_search.py`), blurred by boxes and Gaussians, with noise of 0.5 to 8 in 0..255.
REGULAR, WIENER = 1.3, 0.01
#: Pixels in which the end of an image fades into its beginning, at least half of them.
_LEAST_GAP = 8

def deconvolve(
    backend: Backend,
    src: Any,
    dst: Any,
    psf: np.ndarray[Any, np.dtype[np.float64]],
    sigmas: Sequence[float],
    profile: Profile,
    periodic: bool,
    progress: Progress,
) -> None:
    """Images (.., H, W, C) that were blurred by ``psf``, whose middle is at half its size, and then got white noise."""
    parts = 2 * len(src)

    def heard(part: int) -> Progress:
        return None if progress is None else lambda done: progress((part + done) / parts)

    with np.errstate(all="ignore"):
        for i in range(len(src)):
            _deconvolve(backend, src[i], dst[i], psf, np.asarray(sigmas), profile, periodic, [heard(2 * i), heard(2 * i + 1)])


class _Torus:
    """An image made periodic: beyond its end it goes on as its mirror image, which fades into the one before its beginning."""

    def __init__(self, xp: Any, shape: Sequence[int], psf: np.ndarray[Any, np.dtype[np.float64]], periodic: bool) -> None:
        self._xp, self._image = xp, tuple(shape)
        self._gaps = [0 if periodic else _fast(n + 2 * max(_LEAST_GAP, k)) - n for n, k in zip(shape, psf.shape, strict=True)]
        self.shape = tuple(n + gap for n, gap in zip(shape, self._gaps, strict=True))
        self.size = self.shape[0] * self.shape[1]
        wide = np.zeros(self.shape)
        rows, columns = (np.arange(k) - k // 2 for k in psf.shape)
        np.add.at(wide, np.ix_(rows % self.shape[0], columns % self.shape[1]), psf)
        self.transfer = xp.fft.rfft2(xp.asarray(wide))

    def spectrum(self, image: Any) -> Any:
        """Of (H, W, C)."""
        xp = self._xp
        for axis, gap in enumerate(self._gaps):
            if gap:
                after, before = ([(0, 0)] * image.ndim for _ in range(2))
                after[axis], before[axis] = (0, gap), (gap, 0)
                own = [slice(None)] * image.ndim
                own[axis] = slice(image.shape[axis], None)
                wide = xp.pad(image, after, mode="symmetric")
                own_before = list(own)
                own_before[axis] = slice(0, gap)
                share = ((xp.arange(gap) + 0.5) / gap).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
                begin = xp.pad(image, before, mode="symmetric")[tuple(own_before)]
                wide[tuple(own)] = wide[tuple(own)] * (1 - share) + begin * share
                image = wide
        return xp.fft.rfft2(image, axes=(0, 1))

    def inverse(self, spectrum: Any) -> Any:
        """What has a spectrum, on the whole torus."""
        return self._xp.fft.irfft2(spectrum, s=self.shape, axes=(0, 1))

    def image(self, spectrum: Any) -> Any:
        """(H, W, C) of a spectrum."""
        return self.inverse(spectrum)[: self._image[0], : self._image[1]]


def _fast(length: int) -> int:
    """The next length that has no prime factor above 5."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _deconvolve(
    backend: Backend, src: Any, dst: Any, psf: Any, sigmas: Any, profile: Profile, periodic: bool, heard: Sequence[Progress]
) -> None:
    xp = backend.xp
    # In units of the largest sample no square overflows or vanishes.
    unit = float(abs(src.astype(np.float64)).max()) or 1.0
    image = src.astype(np.float64) / unit
    sigmas = np.maximum(sigmas / unit, 1e-9)
    torus = _Torus(xp, image.shape[:2], psf, periodic)
    spectrum = torus.spectrum(image)
    signal = float(np.mean([max(float(image[..., c].var()) / s**2 - 1, 1e-3) for c, s in enumerate(sigmas)]))
    inverse = xp.conj(torus.transfer) / (abs(torus.transfer) ** 2 + REGULAR / signal)
    estimate = xp.empty(image.shape, np.float32)
    _filtered(backend, torus, spectrum, inverse, sigmas, profile, None, estimate, heard[0])
    power = sum(abs(torus.spectrum(estimate[..., c : c + 1])[..., 0] / s) ** 2 for c, s in enumerate(sigmas))
    power = power / (len(sigmas) * torus.size) + 1e-6
    inverse = xp.conj(torus.transfer) / (abs(torus.transfer) ** 2 + WIENER / power)
    result = xp.empty(image.shape, np.float32)
    _filtered(backend, torus, spectrum, inverse, sigmas, profile, estimate, result, heard[1])
    write(xp, dst, result.astype(np.float64) * unit)


def _filtered(
    backend: Backend,
    torus: _Torus,
    spectrum: Any,
    inverse: Any,
    sigmas: Any,
    profile: Profile,
    guide: Any,
    dst: Any,
    progress: Progress,
) -> None:
    """BM3D's first stage, or the second where there is a guide, of the image behind an inverse filter."""
    table = autocorrelation_on_torus(as_numpy(torus.inverse(abs(inverse) ** 2)))
    variance = float(table[table.shape[0] // 2, table.shape[1] // 2])
    levels = tuple(float(s) * variance**0.5 for s in sigmas)
    given = None if guide is None else guide[None]
    request = Request(levels, None, table / variance, profile, 1 if guide is None else 2, progress, given)
    restore(backend, request, torus.image(spectrum * inverse[..., None]).astype(np.float32)[None], dst[None], None)
