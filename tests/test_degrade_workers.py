"""Chains inside the workers of a data loader, forked or spawned: the same samples as without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from imrestore import degrade

CHAIN = degrade.Chain([degrade.GaussianNoise((1, 9)), degrade.Maybe(degrade.PoissonNoise((20, 90))), degrade.Clip()], white=255)


class Damaged(Dataset):
    """Pictures with the damage of their number."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.Tensor:
        picture = torch.full((3, 40, 50), index / 6)
        return CHAIN(picture, rng=11, index=index, channel_axis=0)


def wanted() -> np.ndarray:
    return np.stack([Damaged()[index].numpy() for index in range(6)])


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_make_the_same_samples(start: str) -> None:
    expected = wanted()  # in the parent first: a fork inherits threads that are gone
    loader = DataLoader(Damaged(), batch_size=2, num_workers=2, multiprocessing_context=start, timeout=120)
    found = np.concatenate([batch.numpy() for batch in loader])
    np.testing.assert_array_equal(found, expected)


def test_a_batch_by_the_numbers_of_a_sampler() -> None:
    numbers = torch.tensor([4, 1, 5])
    pictures = torch.stack([torch.full((3, 40, 50), float(n) / 6) for n in numbers])
    np.testing.assert_array_equal(CHAIN(pictures, rng=11, index=numbers).numpy(), wanted()[numbers])
