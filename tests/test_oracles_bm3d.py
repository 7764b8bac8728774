"""The oracle of BM3D against PyWavelets, SciPy, cases by hand and draws of noise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import PROFILES, SIDE, HardThreshold, Profile, Stage, Wiener

from tests.oracles import bm3d

TRANSFORMS = ("bior1.5", "dct")
NORMAL = PROFILES["normal"]
#: Thresholds of no whole or half number: coefficients of whole numbers are never at one, where a rounding decides.
VARIANCE = 617.25
WHITE = Noise((VARIANCE,))


def whole_numbers(shape: tuple[int, ...], seed: int = 0, most: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most + 1, shape).astype(np.float64)


def distinct(shape: tuple[int, int]) -> np.ndarray:
    """Noise that grows along a slanted line: the test below says that distances differ in the bits that count."""
    y, x = np.indices(shape)
    return np.round(whole_numbers(shape, 7) * 1.1 ** (y * 0.7 + x))


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((image - clean) ** 2))


# Transforms


@pytest.mark.parametrize("name", TRANSFORMS)
def test_rows_have_norm_1_and_the_first_is_the_mean(name: str) -> None:
    matrix = bm3d.transform_matrix(name)
    np.testing.assert_allclose(np.sum(matrix**2, axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(matrix @ np.ones(SIDE), np.sqrt(SIDE) * np.eye(SIDE)[0], atol=1e-14)
    assert np.linalg.cond(matrix) < 3


def test_bior15_is_that_of_pywavelets() -> None:
    pywt = pytest.importorskip("pywt")
    columns = []
    for unit in np.eye(SIDE):
        details = []
        while len(unit) > 1:
            unit, detail = pywt.dwt(unit, "bior1.5", mode="periodization")
            details.insert(0, detail)
        columns.append(np.concatenate([unit, *details]))
    expected = np.array(columns).T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(bm3d.bior15_matrix(), expected, atol=1e-14)


def test_bior15_by_hand() -> None:
    """Of a unit at the first of eight: the sums of pairs are 128, -22, 0 and 22 (3 - 3 = 0 at the far end of the taps)."""
    sums = np.array([128, -22, 0, 22]) / (128 * np.sqrt(2))
    coefficients = bm3d.bior15(np.eye(SIDE)[0])
    np.testing.assert_allclose(coefficients[4:], [np.sqrt(0.5), 0, 0, 0], atol=1e-15)
    # Of four samples the taps -22 and 22 meet again at distance 4 and cancel, and so do 3 and -3: Haar is left.
    np.testing.assert_allclose(coefficients[2:4], [(sums[0] - sums[1]) / np.sqrt(2), (sums[2] - sums[3]) / np.sqrt(2)], atol=1e-15)
    np.testing.assert_allclose(coefficients[1], (sums[0] + sums[1] - sums[2] - sums[3]) / 2, atol=1e-15)
    np.testing.assert_allclose(coefficients[0], sums.sum() / 2, atol=1e-15)


def test_dct_is_that_of_scipy() -> None:
    np.testing.assert_allclose(bm3d.dct_matrix(), scipy.fft.dct(np.eye(SIDE), axis=0, norm="ortho"), atol=1e-14)


def test_haar_by_hand() -> None:
    matrix = bm3d.haar_matrix(4)
    np.testing.assert_allclose(matrix[:2], np.array([[1, 1, 1, 1], [1, 1, -1, -1]]) / 2, atol=1e-15)
    np.testing.assert_allclose(matrix[2:], np.array([[1, -1, 0, 0], [0, 0, 1, -1]]) / np.sqrt(2), atol=1e-15)
    for count in (1, 2, 8, 32):
        np.testing.assert_allclose(bm3d.haar_matrix(count) @ bm3d.haar_matrix(count).T, np.eye(count), atol=1e-14)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_backward_undoes_forward(name: str) -> None:
    patches = whole_numbers((8, SIDE, SIDE))
    matrix = bm3d.transform_matrix(name)
    coefficients = bm3d.forward(matrix, patches)
    np.testing.assert_allclose(bm3d.backward(matrix, coefficients), patches, atol=1e-12)
    # A constant group is one coefficient: the root of 8 patches of 64 pixels.
    constant = bm3d.forward(matrix, np.ones((8, SIDE, SIDE)))
    assert constant[0, 0, 0] == pytest.approx(np.sqrt(8 * 64))
    assert np.abs(constant).sum() == pytest.approx(constant[0, 0, 0])


# Matching


def test_equal_distances_are_sorted_by_shift() -> None:
    members = bm3d.groups(HardThreshold(step=4, group=16, window=7), np.zeros((20, 20)), 1.0)
    assert list(members) == list(itertools.product((0, 4, 8, 12), repeat=2))
    near = [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1), (-2, 0), (0, -2), (0, 2), (2, 0)]
    further = [(-2, -1), (-2, 1), (-1, -2)]  # of the eight at a distance of root 5
    assert members[8, 4] == [(8 + dy, 4 + dx) for dy, dx in near + further]
    assert members[0, 0][:6] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)]


def test_groups_end_at_the_window_and_at_a_power_of_two() -> None:
    members = bm3d.groups(HardThreshold(step=8, group=32, window=5), np.zeros((20, 20)), 1.0)
    assert len(members[8, 8]) == 16  # of 25
    assert len(members[12, 12]) == 8  # of 9 in the last corner
    assert all(max(abs(y - 8), abs(x - 8)) <= 2 for y, x in members[8, 8])
    assert bm3d.groups(HardThreshold(step=3, window=1), np.zeros((20, 20)), 1.0)[3, 3] == [(3, 3)]


def test_groups_of_loops_over_pixels() -> None:
    """Distances in Python's whole numbers. Of the 24 bits of a float32 13 count: whole multiples of a unit."""
    plane = whole_numbers((17, 19)).astype(int)
    parameters = HardThreshold(step=3, group=16, window=13, match=2.5)
    variance = np.linspace(200, 350, 10 * 12).reshape(10, 12)

    def cleared(value: int) -> int:
        unit = 2 ** max(value.bit_length() - 13, 0)
        return value // unit * unit

    sizes = set()
    found = bm3d.groups(parameters, plane, variance)
    assert list(found) == list(itertools.product((0, 3, 6, 9), (0, 3, 6, 9, 11)))
    for (y, x), members in found.items():
        near = []
        for v, u in itertools.product(range(10), range(12)):
            distance = sum((int(plane[y + i, x + j]) - int(plane[v + i, u + j])) ** 2 for i in range(8) for j in range(8))
            if abs(v - y) <= 6 and abs(u - x) <= 6 and cleared(distance) <= cleared(int(2.5 * 64 * variance[y, x])):
                near.append((cleared(distance), (v - y) ** 2 + (u - x) ** 2, v, u))
        size = 2 ** int(math.log2(min(len(near), 16)))
        assert members == [(v, u) for _, _, v, u in sorted(near)[:size]]
        sizes.add(size)
    assert sizes == {1, 4, 8, 16}


def test_cleared_bits_do_not_count() -> None:
    """2**22 has 13 bits that count, the last of them worth 1024; the two patches differ by 2**22 and these squares."""
    for roots, counts in (((), True), ((31, 7, 3, 2), True), ((31, 7, 3, 2, 1), False)):
        plane = np.zeros((8, 9))
        plane[: len(roots) + 1, 8] = 2048, *roots
        members = bm3d.groups(HardThreshold(step=8, match=1.0), plane, 2**22 / 64)
        assert members[0, 0] == ([(0, 0), (0, 1)] if counts else [(0, 0)]), roots


def test_a_patch_without_a_distance_is_no_candidate() -> None:
    plane = np.zeros((8, 24))
    plane[3, 12] = np.nan
    members = bm3d.groups(HardThreshold(step=8, window=45), plane, 1.0)
    assert members[0, 8] == [(0, 8)]
    assert members[0, 0] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 13), (0, 14), (0, 15)]
    plane[3, 12] = 1e30  # as far as infinity, in float32
    assert bm3d.groups(HardThreshold(step=8, window=45, match=1e38), plane, 1e30) == members


# Noise


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_variances_of_coefficients_are_those_of_draws(name: str, local: bool) -> None:
    """6000 draws give a variance to 1.8 %; overlapping patches of correlated noise differ from white noise by much more."""
    kernel = np.array([[0.2, 1.0, 0.4], [0.0, 0.6, -0.3]])
    members = [(3, 4), (4, 6), (2, 8), (9, 4)]
    rng = np.random.default_rng(1)
    white = rng.normal(0, 3, size=(6000, 18, 18))
    colored = sum(kernel[i, j] * white[:, i : 17 + i, j : 16 + j] for i, j in np.ndindex(kernel.shape))
    patches = np.stack([colored[:, y : y + SIDE, x : x + SIDE] for y, x in members], axis=1)
    variance = 9 * np.sum(kernel**2)
    spread = None
    if local:
        strength = np.linspace(1, 4, 90).reshape(10, 9)
        patches *= np.sqrt([strength[y, x] for y, x in members])[:, np.newaxis, np.newaxis]
        spread = variance * strength[np.newaxis]
    matrix = bm3d.transform_matrix(name)
    drawn = np.var(np.stack([bm3d.forward(matrix, group) for group in patches]), axis=0)
    r = bm3d.correlation_of(name, kernel, 9)[np.newaxis]
    variances = bm3d.patch_variances(Noise((variance,), spread), (1, 17, 16))

    actual = bm3d.coefficient_variances(Noise((variance,), spread, r), variances, 0, members)
    np.testing.assert_allclose(drawn, actual, rtol=0.08)
    white_only = bm3d.coefficient_variances(Noise((variance,), spread), variances, 0, members)
    assert np.max(np.abs(white_only / actual - 1)) > 0.5
    flipped = bm3d.coefficient_variances(Noise((variance,), spread, r[:, :, ::-1]), variances, 0, members)
    assert np.max(np.abs(flipped / actual - 1)) > 0.1


def test_correlation_of_white_noise() -> None:
    r = bm3d.correlation_of("bior1.5", np.array([[2.0]]), 9)
    np.testing.assert_allclose(r[9, 9], 1, rtol=1e-14)
    assert r[9, 10, 0, 0] == pytest.approx(7 / 8)  # seven of eight columns are the same
    assert not r[:, [0, 1, 17, 18]].any()  # patches that do not meet


def test_local_variances_of_white_noise_by_hand() -> None:
    local = np.array([[[1.0, 4.0, 9.0, 25.0]]])
    variances = bm3d.coefficient_variances(Noise((0.0,), local), local, 0, [(0, 3), (0, 0), (0, 1), (0, 2)])
    assert variances.shape == (4, SIDE, SIDE)
    expected = [39 / 4, 39 / 4, 26 / 2, 13 / 2]
    np.testing.assert_allclose(variances, np.broadcast_to(np.reshape(expected, (4, 1, 1)), variances.shape))


# Stages


@pytest.mark.parametrize("guided", [False, True])
def test_two_patches_by_hand(guided: bool) -> None:
    """8 x 9 pixels, two references: the noise is such that only the first finds the other; it correlates by coefficients."""
    image, guide = whole_numbers((1, 8, 9), most=100), whole_numbers((1, 8, 9), 4, most=100)
    matched = (guide if guided else image)[0]
    strengths = np.array([617.25, 411.75])
    match = np.sum((matched[:, 1:] - matched[:, :-1]) ** 2) / 64 / 500
    parameters: Stage
    if guided:
        parameters = Wiener(step=8, match=match, noise=0.7, beta=1.5)
    else:
        parameters = HardThreshold(transform="dct", step=8, match=match, threshold=1.5, beta=1.5)
    r = np.zeros((1, 77, 77, SIDE, SIDE), np.float32)
    r[0, 38, 38] = 1
    r[0, 38, 37] = r[0, 38, 39] = np.linspace(-0.75, 0.75, 64).reshape(SIDE, SIDE)
    common = r[0, 38, 39].astype(float) * np.sqrt(strengths[0] * strengths[1])
    c, e = (scipy.fft.dctn(np.array([a[0, :, :8], a[0, :, 1:]]), axes=(1, 2), norm="ortho") for a in (image, guide))
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)

    taps = np.outer(np.kaiser(8, 1.5), np.kaiser(8, 1.5))
    above, below, weights = np.zeros((8, 9)), np.zeros((8, 9)), []
    for first, haar, v in (
        (0, turn, strengths.sum() / 2 + np.array([common, -common])),
        (1, np.ones((1, 1)), np.full((1, 8, 8), strengths[1])),
    ):
        group_c, group_e = (np.tensordot(haar, array[first:], 1) for array in (c, e))
        g = group_e**2 / (group_e**2 + 0.7 * v) if guided else np.where(np.abs(group_c) < 1.5 * np.sqrt(v), 0.0, 1.0)
        g[0, 0, 0] = 1
        assert np.count_nonzero(g < 0.5) > 10
        weights.append(1 / np.sum(g**2 * v))
        for x, patch in enumerate(scipy.fft.idctn(np.tensordot(haar, g * group_c, 1), axes=(1, 2), norm="ortho"), first):
            above[:, x : x + 8] += weights[-1] * taps * patch
            below[:, x : x + 8] += weights[-1] * taps
    assert weights[1] > 1.05 * weights[0]
    actual = bm3d.stage(parameters, image, guide if guided else None, Noise((1.0,), strengths.reshape(1, 1, 2), r))
    np.testing.assert_allclose(actual, (above / below)[np.newaxis], rtol=1e-12)


def test_kaisers_window_is_that_of_the_paper() -> None:
    window = np.outer(np.kaiser(SIDE, NORMAL.wiener.beta), np.kaiser(SIDE, NORMAL.wiener.beta))
    assert window[0, 0] == pytest.approx(0.1924, abs=1e-4)
    assert window[3, 4] == pytest.approx(0.9718, abs=1e-4)


@pytest.mark.parametrize("name", PROFILES)
def test_an_image_without_noise_comes_back(name: str) -> None:
    image = whole_numbers((2, 19, 21))
    for stages in (1, 2):
        actual = bm3d.bm3d_planes(PROFILES[name], image, Noise((1e-16, 1e-16)), stages)
        np.testing.assert_allclose(actual, image, atol=1e-9)


@pytest.mark.parametrize("name", PROFILES)
def test_adding_a_number_adds_it_to_the_result(name: str) -> None:
    """A number whose sums stay exact, so that the groups are the same."""
    image = whole_numbers((1, 19, 22))
    result = bm3d.bm3d_planes(PROFILES[name], image, WHITE, 1)
    np.testing.assert_allclose(bm3d.bm3d_planes(PROFILES[name], image + 1024, WHITE, 1), result + 1024, atol=1e-9)
    again = bm3d.stage(PROFILES[name].wiener, image, image, WHITE)
    np.testing.assert_allclose(bm3d.stage(PROFILES[name].wiener, image + 1024, image + 1024, WHITE), again + 1024, atol=1e-9)
    assert np.std(again) < 0.9 * np.std(image)


def test_the_transposed_image_gives_the_transposed_result() -> None:
    plane = distinct((16, 19))
    parameters = HardThreshold(step=2, window=45, group=16, match=1e6)
    patches = np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))
    for y, x in bm3d.groups(parameters, plane, 1.0):
        distances = bm3d.compared(np.sum((patches - patches[y, x]) ** 2, axis=(2, 3))).ravel()
        nearest = np.sort(distances)[: parameters.group + 1]
        assert len(set(nearest)) == len(nearest)
    noise = WHITE
    result = bm3d.stage(parameters, plane[np.newaxis], None, noise)
    np.testing.assert_allclose(bm3d.stage(parameters, plane.T[np.newaxis], None, noise)[0].T, result[0], rtol=1e-10)
    assert np.max(np.abs(result - plane)) > 5


def test_planes_are_filtered_with_the_groups_of_the_first() -> None:
    """The second plane is the first one turned round: alone it would have groups of its own."""
    first = whole_numbers((20, 22))
    second = first[::-1, ::-1]
    hard = NORMAL.hard._replace(match=1.5)  # half of all patches
    both = bm3d.stage(hard, np.stack([first, second]), None, Noise((391.75, 887.25)))
    np.testing.assert_array_equal(both[:1], bm3d.stage(hard, first[np.newaxis], None, Noise((391.75,))))
    # The same groups for a plane that is matched on: the noise of the first plane decides about them.
    twice = bm3d.stage(hard, np.stack([first, first]), None, Noise((391.75, 887.25)))
    less = hard._replace(match=hard.match * 391.75 / 887.25)
    np.testing.assert_allclose(twice[1:], bm3d.stage(less, first[np.newaxis], None, Noise((887.25,))), rtol=1e-12)
    alone = bm3d.stage(hard, second[np.newaxis], None, Noise((887.25,)))
    assert np.max(np.abs(both[1] - alone[0])) > 0.5


def test_correlation_is_looked_up_by_plane_and_shift() -> None:
    """With r of 1 for all pairs in the second plane a constant group has all its noise in the sums, none in differences."""
    image = np.zeros((2, 16, 16))
    r = np.zeros((2, 19, 19, SIDE, SIDE), np.float32)
    r[0, 9, 9] = 1
    r[1] = 1
    variances = bm3d.patch_variances(Noise((4.0, 9.0)), image.shape)
    members = [(0, 0), (8, 8), (0, 8), (3, 1)]
    white, same = (bm3d.coefficient_variances(Noise((4.0, 9.0), None, r), variances, plane, members) for plane in (0, 1))
    np.testing.assert_allclose(white, 4, rtol=1e-12)
    np.testing.assert_allclose(same, 9 * 4 * np.reshape([1, 0, 0, 0], (4, 1, 1)) * np.ones((SIDE, SIDE)), atol=1e-12)


@pytest.mark.parametrize("guided", [False, True])
def test_white_noise_said_in_four_ways(guided: bool) -> None:
    """Equal local variances and an r of 1 for equal patches change nothing; twice the variance by `local` does. Noise that is said
    to be correlated has no adaptive estimate."""
    image = whole_numbers((1, 19, 22))
    parameters: Stage = NORMAL.wiener._replace(share=0.0) if guided else NORMAL.hard
    guide = whole_numbers((1, 19, 22), most=50) if guided else None
    local = np.full((1, 12, 15), np.float32(VARIANCE), np.float32)
    r = np.zeros((1, 77, 77, SIDE, SIDE), np.float32)
    r[0, 38, 38] = 1
    expected = bm3d.stage(parameters, image, guide, WHITE)
    for noise in (Noise((1.0,), local), Noise((VARIANCE,), None, r), Noise((1.0,), local, r)):
        np.testing.assert_allclose(bm3d.stage(parameters, image, guide, noise), expected, rtol=1e-12)
    assert np.max(np.abs(bm3d.stage(parameters, image, guide, Noise((VARIANCE,), local * 2)) - expected)) > 0.1
    if guided:
        for share in (0.5, 1.0):
            both = (bm3d.stage(NORMAL.wiener._replace(share=share), image, guide, n) for n in (WHITE, Noise((1.0,), local)))
            np.testing.assert_allclose(next(both), next(both), rtol=1e-12)


@pytest.mark.parametrize("guided", [False, True])
def test_nan_spoils_the_reference_patches_that_hold_it(guided: bool) -> None:
    image = whole_numbers((2, 21, 23), most=20)
    image[0, 10, 9] = np.nan
    parameters: Stage = NORMAL.wiener._replace(step=3) if guided else NORMAL.hard._replace(step=3)
    result = bm3d.stage(parameters, image, image if guided else None, Noise((VARIANCE, VARIANCE)))
    expected = np.zeros((21, 23), bool)
    for y, x in itertools.product((0, 3, 6, 9, 12, 13), (0, 3, 6, 9, 12, 15)):
        if y <= 10 < y + 8 and x <= 9 < x + 8:
            expected[y : y + 8, x : x + 8] = True
    np.testing.assert_array_equal(np.isnan(result[0]), expected)
    assert 64 < expected.sum() < expected.size
    assert not np.isnan(result[1]).any()


@pytest.mark.parametrize("name", PROFILES)
def test_the_smallest_image_and_steps_that_do_not_divide(name: str) -> None:
    for shape in ((1, 8, 8), (1, 8, 13), (1, 18, 9)):
        image = whole_numbers(shape)
        result = bm3d.bm3d_planes(PROFILES[name], image, WHITE, 2)
        assert result.shape == shape
        assert np.isfinite(result).all()
        assert result.std() < 0.7 * image.std()


def test_every_stage_gains() -> None:
    rng = np.random.default_rng(5)
    y, x = np.indices((32, 32))
    clean = (60 + 2.0 * x + 1.0 * y + np.where(x + 2 * y > 48, 80, 0))[np.newaxis]
    noisy = clean + rng.normal(0, 25, clean.shape)
    classic = NORMAL._replace(wiener=NORMAL.wiener._replace(share=0.0), refine=None)
    runs = ((classic, 1), (classic, 2), (NORMAL._replace(refine=None), 2), (NORMAL, 2))
    first, second, *others = (psnr(bm3d.bm3d_planes(profile, noisy, Noise((625.0,)), stages), clean) for profile, stages in runs)
    assert first > psnr(noisy, clean) + 6
    assert min(second, *others) > first + 0.3
    assert others[1] > others[0] + 0.1


def test_correlated_noise_wants_its_correlation() -> None:
    """Noise of rows that are alike: told so, both stages gain over taking it for white; each stage has its own transform."""
    rng = np.random.default_rng(6)
    kernel = np.ones((1, 4)) / 2
    y, x = np.indices((32, 32))
    clean = (60 + 2.0 * x + 1.0 * y + np.where(x + 2 * y > 48, 80, 0))[np.newaxis]
    noisy = clean + scipy.signal.convolve2d(rng.normal(0, 25, (32, 35)), kernel, mode="valid")
    profile = Profile(NORMAL.hard._replace(window=15), NORMAL.wiener._replace(window=15))
    told = tuple(Noise((625.0,), None, bm3d.correlation_of(name, kernel, 14)[np.newaxis]) for name in TRANSFORMS)
    results = [bm3d.bm3d_planes(profile, noisy, (told[0], told[1]), stages) for stages in (1, 2)]
    np.testing.assert_array_equal(results[1], bm3d.stage(profile.wiener, noisy, results[0], told[1]))
    for stages in (1, 2):
        untold = bm3d.bm3d_planes(profile, noisy, Noise((625.0,)), stages)
        assert psnr(results[stages - 1], clean) > psnr(untold, clean) + 1
