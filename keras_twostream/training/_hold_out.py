"""The part of a training list that is held out for validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def hold_out(
    labels: Sequence[Any],
    share: float,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split a list so that every class keeps its share.

    Clips cut from one recording look alike, so that holding one of them out
    measures nothing. With `groups`, whole recordings are held out, as near to
    the share as their sizes allow. A class of one recording stays in training.

    Args:
        labels: One label per item. Several labels count as the first of them,
            and no label counts as a class of its own.
        share: Share of each class that is held out, below 1.
        seed: Seed of the draw.
        groups: The recording of each item; every item has its own when None.

    Returns:
        Indices to train on and indices held out, both ascending.
    """
    first = np.array([next(iter(np.atleast_1d(x)), -1) for x in labels])
    names = np.arange(len(first)) if groups is None else np.array(groups)
    rng = np.random.default_rng([seed, len(first)])
    held_out = [
        places[np.isin(names[places], _draw(names[places], share, rng))]
        for places in (np.flatnonzero(first == x) for x in np.unique(first))
    ]
    outside = np.sort(np.concatenate(held_out)).astype(int)
    return np.setdiff1d(np.arange(len(first)), outside), outside


def _draw(
    groups: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw whole groups of one class that make up the share."""
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names)).tolist()
    left = min(max(round(len(groups) * share), int(share > 0)), len(groups))
    if left == 0 or len(names) == 1:
        return names[:0]
    drawn: list[int] = []
    for place in order:
        # Adding the group would miss the share by more than leaving it out.
        too_large = sizes[place] - left > left
        if left > 0 and not too_large and len(drawn) < len(names) - 1:
            drawn.append(place)
            left -= sizes[place]
    return names[drawn or [min(order, key=lambda place: sizes[place])]]
