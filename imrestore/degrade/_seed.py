"""From what the caller says of randomness to a key and to numbers of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore._checks.values import integer, is_sequence, shown

_SEED = "None, a whole number from 0 to 2**64 - 1 or a numpy.random.Generator"
_INDEX = "a whole number from 0 to 2**64 - 1, or one for each sample"


def seed_of(rng: Any) -> int:
    """The key of the random numbers (SPEC 7): a seed is its own key, a generator draws one, None asks the system for one."""
    if rng is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, np.random.SeedSequence):
        return int(rng.generate_state(1, np.uint64)[0])
    if isinstance(rng, np.random.BitGenerator):
        return seed_of(np.random.Generator(rng))
    seed = integer("rng", rng, _SEED)
    if not 0 <= seed < 2**64:
        raise ValueError(f"rng is {shown(rng)}; it must be {_SEED}")
    return seed


def sample_numbers(index: Any, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Numbers of ``count`` samples."""
    if type(index) is int and 0 <= index <= 2**64 - count:
        return np.array(range(index, index + count), np.uint64)
    if isinstance(index, np.ndarray) and index.ndim == 0:
        index = index[()]
    if hasattr(index, "tolist") and not isinstance(index, np.ndarray | np.generic):
        index = index.tolist()  # a tensor of numbers, as a data loader makes
    if is_sequence(index):
        numbers = [integer("index", one, _INDEX) for one in index]
        if len(numbers) != count:
            raise ValueError(f"index has {len(numbers)} numbers; for {count} samples it must be {_INDEX}")
    else:
        first = integer("index", index, _INDEX)
        numbers = list(range(first, first + count))
        if 0 <= first < 2**64 < first + count:
            raise ValueError(f"index is {first}; the last of {count} samples would have the number {numbers[-1]}, above 2**64 - 1")
    if numbers and not 0 <= min(numbers) <= max(numbers) < 2**64:
        raise ValueError(f"index is {shown(index)}; it must be {_INDEX}")
    return np.array(numbers, np.uint64)
