"""What samples went through last, for steps that can join it."""

from __future__ import annotations

import numpy as np

from imrestore.degrade._plan import Draw, Launch, Numbers, Operation


def last_launches(draw: Draw, *operations: Operation) -> list[tuple[Launch, Numbers, Numbers]]:
    """The launches of these operations that samples took last, with their rows there and the samples' places in this draw."""
    launches = draw.batch.launches
    if len(draw.batch.now) == 1:  # a sample alone went through all of them
        alone = len(draw) == 1 and len(launches) > 0 and launches[-1].operation in operations
        return [(launches[-1], np.zeros(1, np.int64), np.zeros(1, np.int64))] if alone else []
    found: list[tuple[Launch, Numbers, Numbers]] = []
    left = np.arange(len(draw))
    for launch in reversed(launches):
        if len(left) == 0:
            break
        order = np.argsort(launch.ids)
        at = np.minimum(np.searchsorted(launch.ids, draw.ids[left], sorter=order), len(order) - 1)
        there = launch.ids[order[at]] == draw.ids[left]
        if launch.operation in operations and there.any():
            found.append((launch, order[at[there]], left[there]))
        left = left[~there]
    return found
