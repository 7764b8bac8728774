"""The exchange networks, by the 0-1 principle (zeros and ones decide a network of exchanges) and against sorting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from imrestore_kernels.networks import Network, evaluate, live_values, select_network, sort_network, strip_network


def run(network: Network, columns: np.ndarray) -> np.ndarray:
    """Outputs as rows, for inputs as rows."""
    return np.array(evaluate(network, columns, np.minimum, np.maximum))


def sorted_columns_of_bits(rows: int, columns: int) -> np.ndarray:
    """Every way to fill sorted columns with zeros and ones: (columns * rows, cases)."""
    ones = np.array(list(product(range(rows + 1), repeat=columns))).T  # how many ones each column ends with
    return (np.arange(rows)[None, :, None] >= rows - ones[:, None, :]).reshape(columns * rows, -1).astype(np.uint8)


@pytest.mark.parametrize("count", range(1, 15))
def test_sort_network_sorts_all_zeros_and_ones(count: int) -> None:
    bits = (np.arange(2**count)[None, :] >> np.arange(count)[:, None] & 1).astype(np.uint8)
    assert np.array_equal(run(sort_network(count), bits), np.sort(bits, axis=0))


@pytest.mark.parametrize("outputs", [1, 2, 3, 4])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (5, 1), (2, 3), (3, 2), (3, 3), (4, 3), (5, 2), (4, 4)])
def test_every_rank_of_small_windows_by_the_zero_one_principle(rows: int, columns: int, outputs: int) -> None:
    bits = sorted_columns_of_bits(rows, columns + outputs - 1)
    windows = [bits[o * rows : (o + columns) * rows] for o in range(outputs)]
    expected = np.sort(np.array(windows), axis=1)
    for rank in range(rows * columns):
        got = run(select_network(rows, columns, rank, outputs), bits)
        assert np.array_equal(got, expected[:, rank]), rank


@pytest.mark.parametrize("outputs", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [3, 5, 7, 9, 13])
def test_medians_of_large_windows_against_numpy(size: int, outputs: int) -> None:
    rng = np.random.default_rng(size * 10 + outputs)
    columns = np.sort(rng.integers(0, 60, (size + outputs - 1, size, 4000)), axis=1)
    flat = columns.reshape(-1, columns.shape[-1])
    got = run(select_network(size, size, size * size // 2, outputs), flat)
    for o in range(outputs):
        window = columns[o : o + size].reshape(size * size, -1)
        assert np.array_equal(got[o], np.partition(window, size * size // 2, axis=0)[size * size // 2])


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (6, 1), (1, 4), (3, 3), (4, 2), (2, 4)])
def test_strips_of_unsorted_columns_by_the_zero_one_principle(rows: int, columns: int, outputs: int) -> None:
    count = rows * (columns + outputs - 1)
    bits = (np.arange(2**count)[None, :] >> np.arange(count)[:, None] & 1).astype(np.uint8)
    for rank in range(rows * columns):
        got = run(strip_network(rows, columns, rank, outputs), bits)
        for o in range(outputs):
            assert np.array_equal(got[o], np.sort(bits[o * rows : (o + columns) * rows], axis=0)[rank]), (rank, o)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_every_output_of_a_five_by_five_selection_is_one_of_its_inputs(size: int) -> None:
    network = select_network(size, size, size * size // 2, 2)
    distinct = np.sort(np.random.default_rng(1).permutation(size * (size + 1)).reshape(size + 1, size), axis=1)
    first, second = run(network, distinct.reshape(-1, 1))[:, 0]
    assert first == np.median(distinct[:-1])
    assert second == np.median(distinct[1:])


def test_ops_only_refer_to_what_came_before_and_all_are_used() -> None:
    for outputs in (1, 2, 4):
        network = select_network(5, 5, 12, outputs)
        used = set(network.outputs)
        for i, (name, a, b) in enumerate(network.ops):
            assert name in ("min", "max")
            assert a < network.inputs + i
            assert b < network.inputs + i
            used |= {a, b}
        assert used >= set(range(network.inputs, network.inputs + len(network.ops)))


def test_pruning_and_sharing_keep_the_networks_small() -> None:
    def ops(size: int, outputs: int) -> float:
        return len(select_network(size, size, size * size // 2, outputs).ops) / outputs

    # A full sort of 25 and 49 values by the same merges takes 274 and 708 ops.
    assert ops(3, 1) <= 12
    assert ops(5, 1) <= 98
    assert ops(7, 1) <= 312
    # Sharing between neighbours halves them and more.
    assert ops(3, 2) <= 11
    assert ops(5, 2) <= 54
    assert ops(5, 4) <= 48
    assert ops(7, 4) <= 117


def test_live_values_counts_a_known_chain() -> None:
    assert live_values(sort_network(2)) == 3  # the second op still needs both inputs beside the first result
    assert live_values(Network(3, (("min", 0, 1), ("min", 2, 3)), (4,))) == 2
    assert live_values(Network(2, (), (0, 1))) == 2
