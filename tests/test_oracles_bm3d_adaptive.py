"""The oracle of BM3D's estimate whose basis is the group itself, against other forms of it and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import SIDE, Wiener

from tests.oracles import bm3d

PIXELS = SIDE**2
VARIANCE = 617.25
SECOND = Wiener(step=3, window=19, adaptive=0.7, excess=0.9, share=1.0)


def groups(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a noisy group and of its guide, (K, 8, 8)."""
    rng = np.random.default_rng([seed, count])
    guide = rng.normal(0, 60, (count, SIDE, SIDE))
    return guide + rng.normal(0, VARIANCE**0.5, guide.shape), guide


def without_mean(group: np.ndarray) -> np.ndarray:
    """A column a patch, the mean of the group left out."""
    columns = group.reshape(len(group), PIXELS).T.copy()
    columns[0, 0] = 0
    return columns


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize(("factor", "excess"), [(0.7, 0.9), (5.0, 0.1), (0.1, 3.0)])
def test_numbers_of_patches_do_what_their_covariances_do(count: int, factor: float, excess: float) -> None:
    """A = E (E'E + l I)**-1 E' with l = factor K u, and r of what it leaves out, as the definition has them."""
    noisy, guide = groups(count)
    e, c = without_mean(guide), without_mean(noisy)
    a = e @ np.linalg.solve(e.T @ e + factor * count * VARIANCE * np.eye(count), e.T)
    rest = c - a @ c
    r = max(0.0, 1 - excess * count * VARIANCE * (PIXELS - np.trace(a)) / (rest**2).sum())
    assert (0 < r < 1) == (excess < 2)
    expected = (a @ c + r * rest).T.reshape(noisy.shape)
    expected[0, 0, 0] = noisy[0, 0, 0]
    result, left = bm3d.adaptive(SECOND._replace(adaptive=factor, excess=excess), noisy, guide, VARIANCE)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    assert left == pytest.approx((1 + (1 - r) * np.trace(a) + PIXELS * r) * VARIANCE)


def test_one_patch_by_hand() -> None:
    """Its guide has 3, 4 in two places, 25 in all: one direction, which is kept to 25 / (25 + 2.5 * 2) = 5 / 6."""
    noisy, guide = np.zeros((2, 1, SIDE, SIDE))
    guide[0, 0] = [1000, 3, 4, *[0] * 5]
    noisy[0, 0] = [50, 6, 8, *[0] * 5]
    noisy[0, 7, 7] = 24.0
    result, left = bm3d.adaptive(SECOND._replace(adaptive=2.5, excess=0.9), noisy, guide, 2.0)
    expected = np.zeros((1, SIDE, SIDE))
    # What is left out: a sixth of (6, 8), and 24: squares of 100 / 36 + 576; noise of 0.9 * 2 (64 - 5 / 6) is expected of it.
    part = 1 - 0.9 * 2 * (64 - 5 / 6) / (100 / 36 + 576)
    expected[0, 0] = [50, *(np.array([6, 8]) * (5 / 6 + part / 6)), *[0] * 5]
    expected[0, 7, 7] = part * 24
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    assert left == pytest.approx((1 + 5 / 6 + part * (64 - 5 / 6)) * 2)
    nothing, left = bm3d.adaptive(SECOND._replace(adaptive=2.5, excess=100.0), noisy, guide, 2.0)
    np.testing.assert_allclose(nothing[0, 0], [50, 5, 20 / 3, *[0] * 5], rtol=1e-12)
    assert nothing[0, 7, 7] == 0
    assert left == pytest.approx((1 + 5 / 6) * 2)


@pytest.mark.parametrize("count", [1, 8, 32])
def test_without_excess_the_noisy_group_comes_back(count: int) -> None:
    noisy, guide = groups(count)
    result, left = bm3d.adaptive(SECOND._replace(excess=0.0), noisy, guide, VARIANCE)
    np.testing.assert_allclose(result, noisy, rtol=1e-9, atol=1e-9)
    assert left == pytest.approx(65 * VARIANCE)
    flat = np.zeros_like(noisy)
    for e in (guide, flat):
        for excess in (0.0, 0.9):
            same, _ = bm3d.adaptive(SECOND._replace(excess=excess), flat, e, VARIANCE)
            np.testing.assert_array_equal(same, flat)


def test_the_basis_is_that_of_the_guide() -> None:
    """Noisy patches that are sums of the guide's stay, those across all of them do not."""
    noisy, guide = groups(8)
    guide[:, 0, 0] = noisy[:, 0, 0] = 0
    strong, parameters = 1e4 * guide, SECOND._replace(excess=1e6)
    inside = np.einsum("ij,jkl->ikl", np.random.default_rng(1).normal(0, 1, (8, 8)), guide)
    basis = np.linalg.qr(without_mean(guide))[0]
    result, _ = bm3d.adaptive(parameters, inside, strong, VARIANCE)
    np.testing.assert_allclose(without_mean(result), without_mean(inside), atol=1e-3)
    across = without_mean(noisy)
    across -= basis @ (basis.T @ across)
    result, _ = bm3d.adaptive(parameters, across.T.reshape(8, SIDE, SIDE), strong, VARIANCE)
    np.testing.assert_allclose(without_mean(result), 0, atol=1e-3)
    assert np.abs(across).max() > 10


def test_the_order_of_patches_and_their_signs_do_not_count() -> None:
    """A rotation of patches, as Haar's transform is one, but for the mean."""
    noisy, guide = groups(16)
    noisy[:, 0, 0] = guide[:, 0, 0] = 0
    rotation = np.linalg.qr(np.random.default_rng(2).normal(0, 1, (16, 16)))[0]
    turned = [np.einsum("ij,jkl->ikl", rotation, group) for group in (noisy, guide)]
    expected, left = bm3d.adaptive(SECOND, noisy, guide, VARIANCE)
    result, same = bm3d.adaptive(SECOND, *turned, VARIANCE)
    np.testing.assert_allclose(result, np.einsum("ij,jkl->ikl", rotation, expected), atol=1e-9)
    assert same == pytest.approx(left)


# In a stage


def images(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, 61, (1, 19, 22)).astype(np.float64) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("transform", ["dct", "bior1.5"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_adding_a_number_adds_it_to_the_result(share: float, transform: str) -> None:
    image, guide = images()
    parameters, noise = SECOND._replace(share=share, transform=transform), Noise((VARIANCE,))
    result = bm3d.stage(parameters, image, guide, noise)
    for constants in ((1024, 1024), (512, -64)):
        moved = bm3d.stage(parameters, image + constants[0], guide + constants[1], noise)
        np.testing.assert_allclose(moved, result + constants[0], atol=1e-9)
    assert np.std(result) < 0.9 * np.std(image)


def test_share_is_between_the_two() -> None:
    """Groups alone in an image of one patch: their results are mixed, and so is what they weigh."""
    rng = np.random.default_rng(5)
    image, guide = rng.integers(0, 61, (2, 1, SIDE, SIDE)).astype(np.float64)
    none, half, whole = (bm3d.stage(SECOND._replace(share=s), image, guide, Noise((VARIANCE,))) for s in (0.0, 0.25, 1.0))
    np.testing.assert_allclose(half, 0.75 * none + 0.25 * whole, atol=1e-9)
    assert np.abs(none - whole).max() > 1


def test_share_0_is_wiener_alone_and_correlated_noise_has_no_other() -> None:
    image, guide = images()
    classic = bm3d.stage(SECOND._replace(share=0.0), image, guide, Noise((VARIANCE,)))
    for changed in ({"adaptive": 5.0}, {"excess": 0.0}):
        again = bm3d.stage(SECOND._replace(share=0.0, **changed), image, guide, Noise((VARIANCE,)))
        np.testing.assert_array_equal(again, classic)
        other = bm3d.stage(SECOND._replace(**changed), image, guide, Noise((VARIANCE,)))
        assert np.abs(other - bm3d.stage(SECOND, image, guide, Noise((VARIANCE,)))).max() > 0.1
    r = np.zeros((1, 39, 39, SIDE, SIDE), np.float32)
    r[0, 19, 19] = 1
    told = [bm3d.stage(SECOND._replace(share=s), image, guide, Noise((VARIANCE,), None, r)) for s in (0.0, 1.0)]
    np.testing.assert_array_equal(*told)
    np.testing.assert_allclose(told[0], classic, rtol=1e-12)


def test_groups_of_less_noise_weigh_more() -> None:
    """8 x 9 pixels, two references with a group each; the first weighs one part of what the other does in what they share."""
    image, guide = (array[:, :8, :9] for array in images())
    local = np.array([[[VARIANCE, 4 * VARIANCE]]])
    parameters = SECOND._replace(step=1, match=0.0, beta=0.0)
    matrix, e, c = bm3d.dct_matrix(), [], []
    for x in (0, 1):
        e.append(bm3d.forward(matrix, guide[:, :, x : x + 8]))
        c.append(bm3d.forward(matrix, image[:, :, x : x + 8]))
    made = [bm3d.adaptive(parameters, c[x], e[x], local[0, 0, x]) for x in (0, 1)]
    patches = [bm3d.backward(matrix, coefficients)[0] for coefficients, _ in made]
    weights = [1 / left for _, left in made]
    actual = bm3d.stage(parameters, image, guide, Noise((1.0,), local))[0]
    np.testing.assert_allclose(actual[:, 0], patches[0][:, 0])
    np.testing.assert_allclose(actual[:, 8], patches[1][:, 7])
    middle = (weights[0] * patches[0][:, 1:] + weights[1] * patches[1][:, :7]) / sum(weights)
    np.testing.assert_allclose(actual[:, 1:8], middle)
    assert weights[0] > 2 * weights[1]
