"""A part of the training list that validates."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def hold_out(
    labels: Sequence[Any], share: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Splits a list so that every class keeps its share.

    A class of one clip stays in training.

    Args:
        labels: One label per item; several labels count as their first.
        share: Share of each class that is held out, below 1.
        seed: Of the draw.

    Returns:
        Indices to train on and indices held out, each ascending.
    """
    first = np.array([np.atleast_1d(label)[0] for label in labels])
    rng = np.random.default_rng([seed, len(first)])
    held_out = [
        rng.permutation(places)[: _count(len(places), share)]
        for places in (np.flatnonzero(first == x) for x in np.unique(first))
    ]
    held = np.sort(np.concatenate(held_out)).astype(int)
    return np.setdiff1d(np.arange(len(first)), held), held


def _count(items: int, share: float) -> int:
    return min(max(round(items * share), int(share > 0)), items - 1)
