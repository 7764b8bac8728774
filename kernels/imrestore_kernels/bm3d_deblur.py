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

from imrestore_kernels.bm3d_driver import Backend, Progress, Request, as_numpy, part_of, restore, write
from imrestore_kernels.bm3d_noise import autocorrelation_on_torus
from imrestore_kernels.bm3d_profiles import Profile

#: Best of 0.7 to 2 and of 0.003 to 0.1 on every 57th picture of Train400, six pairs of a blur and noise of 0.5 to 7 in 0..255:
#: a mean gain of 4.43 dB, 4.38 and 4.42 dB at the ends of the first range, 4.40 and 4.31 dB at those of the second. Tried
#: before patches were compared behind a whitening filter, which moved the gain on cameraman by less than 0.07 dB.
REGULAR, WIENER = 1.3, 0.01


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

    with np.errstate(all="ignore"):
        for i in range(len(src)):
            heard = [part_of(progress, part, parts) for part in (2 * i, 2 * i + 1)]
            _deconvolve(backend, src[i], dst[i], psf, np.asarray(sigmas), profile, periodic, heard)


class _Torus:
    """An image made periodic: with its mirror images, which is what a symmetric blur with reflecting borders makes of a torus."""

    def __init__(self, xp: Any, shape: Sequence[int], psf: np.ndarray[Any, np.dtype[np.float64]], periodic: bool) -> None:
        self._xp, self._image = xp, tuple(shape)
        self.shape = self._image if periodic else tuple(2 * n for n in shape)
        self.size = self.shape[0] * self.shape[1]
        wide = np.zeros(self.shape)
        rows, columns = (np.arange(k) - k // 2 for k in psf.shape)
        np.add.at(wide, np.ix_(rows % self.shape[0], columns % self.shape[1]), psf)
        self.transfer = xp.fft.rfft2(xp.asarray(wide))

    def spectrum(self, image: Any) -> Any:
        """Of (H, W, C)."""
        more = [(0, n - m) for n, m in zip(self.shape, self._image, strict=True)]
        return self._xp.fft.rfft2(self._xp.pad(image, [*more, (0, 0)], mode="symmetric"), axes=(0, 1))

    def inverse_filter(self, regular: Any) -> Any:
        """The inverse of the blur where it left something; the mean brightness comes back whole."""
        result = self._xp.conj(self.transfer) / (abs(self.transfer) ** 2 + regular)
        result[0, 0] = 1 / self.transfer[0, 0]
        return result

    def inverse(self, spectrum: Any) -> Any:
        """What has a spectrum, on the whole torus."""
        return self._xp.fft.irfft2(spectrum, s=self.shape, axes=(0, 1))

    def image(self, spectrum: Any) -> Any:
        """(H, W, C) of a spectrum."""
        return self.inverse(spectrum)[: self._image[0], : self._image[1]]


def _deconvolve(
    backend: Backend, src: Any, dst: Any, psf: Any, sigmas: Any, profile: Profile, periodic: bool, heard: Sequence[Progress]
) -> None:
    xp = backend.xp
    # In units of the largest sample no square overflows or vanishes.
    unit = float(abs(src.astype(np.float64)).max()) or 1.0
    image = src.astype(np.float64) / unit
    sigmas = np.maximum(sigmas / unit, 1e-9)
    brightness = float(psf.sum())
    torus = _Torus(xp, image.shape[:2], psf / brightness, periodic)
    spectrum = torus.spectrum(image)
    signal = float(np.mean([max(float(image[..., c].var()) / s**2 - 1, 1e-3) for c, s in enumerate(sigmas)]))
    inverse = torus.inverse_filter(REGULAR / signal)
    estimate = xp.empty(image.shape, np.float32)
    _filtered(backend, torus, spectrum, inverse, sigmas, profile, None, estimate, heard[0])
    power = sum(abs(torus.spectrum(estimate[..., c : c + 1])[..., 0] / s) ** 2 for c, s in enumerate(sigmas))
    power = power / (len(sigmas) * torus.size) + 1e-6
    inverse = torus.inverse_filter(WIENER / power)
    result = xp.empty(image.shape, np.float32)
    _filtered(backend, torus, spectrum, inverse, sigmas, profile, estimate, result, heard[1])
    write(xp, dst, result.astype(np.float64) / brightness * unit)


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
