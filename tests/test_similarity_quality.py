"""How well non-local means restores the pictures of the published tables; skipped where they are not at hand."""

from __future__ import annotations

import numpy as np
import pytest

import imrestore
from tests.photographs import photographs

# scikit-image 0.26, fast mode, sigma given, patches of 7 at distances up to 11, the best h for each level of noise.
SCIKIT_IMAGE = {15: 30.86, 25: 28.49, 50: 24.84}


@pytest.mark.parametrize("given", [True, False], ids=["given", "estimated"])
@pytest.mark.parametrize("sigma", SCIKIT_IMAGE)
def test_defaults_restore_better_than_scikit_image_tuned(sigma: int, given: bool) -> None:
    found = []
    for picture in photographs("Set12"):
        rng = np.random.default_rng(0)
        noisy = (picture + sigma * rng.standard_normal(picture.shape)).astype(np.float32)
        restored = imrestore.nl_means(noisy, sigma if given else None, patch_distance=11)
        found.append(imrestore.metrics.psnr(restored, picture.astype(np.float32), data_range=255.0, protocol="gray"))
    assert len(found) == 12
    assert np.mean(found) > SCIKIT_IMAGE[sigma] + 0.1
