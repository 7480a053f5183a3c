"""The part of a training list that is held out for validation."""

import collections
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError, check_number


def hold_out(
    labels: Sequence[Any],
    share: float,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split a list so that every class keeps its share.

    Clips cut from one recording look alike, so that holding one of them out
    measures nothing. With `groups`, whole recordings are held out, of all the
    classes they show, as near to the share as their sizes allow. A class of one
    recording stays in training.

    Args:
        labels: One label per item. Several labels count as the first of them,
            and no label counts as a class of its own.
        share: Share of each class that is held out, below 1.
        seed: Seed of the draw.
        groups: The recording of each item; every item has its own when None.

    Returns:
        Indices to train on and indices held out, both ascending.

    Raises:
        SpecError: If the share is not between 0 and 1, or items have no group.
    """
    check_number("share", share, 0.0, 1.0, ends=True)
    if groups is not None and len(groups) != len(labels):
        raise SpecError(
            "`groups` has the recording of each item. Received: "
            f"{len(groups)} for {len(labels)} items"
        )
    first = np.array([next(iter(np.atleast_1d(x)), -1) for x in labels])
    names = np.arange(len(first)) if groups is None else np.array(groups)
    rng = np.random.default_rng([seed, len(first)])
    inside = _Inside(first, names)
    for x in np.unique(first):
        _draw(names[first == x], share, rng, inside)
    outside = np.flatnonzero(np.isin(names, list(inside.gone)))
    return np.setdiff1d(np.arange(len(first)), outside), outside


class _Inside:
    """The recordings that training keeps, one or more of each class.

    Args:
        classes: The class of each item.
        groups: The recording of each item.

    Attributes:
        gone: The recordings that are held out, of whatever class.
    """

    def __init__(self, classes: np.ndarray, groups: np.ndarray) -> None:
        self.gone: set[Any] = set()
        self._shown: dict[Any, set[Any]] = collections.defaultdict(set)
        for x, group in zip(classes.tolist(), groups.tolist(), strict=True):
            self._shown[group].add(x)
        every_class = itertools.chain.from_iterable(self._shown.values())
        self._left = collections.Counter(every_class)

    def spares(self, group: Any) -> bool:
        """Return whether every class of a recording has another one."""
        return all(self._left[x] > 1 for x in self._shown[group])

    def remove(self, group: Any) -> None:
        """Hold a recording out."""
        self.gone.add(group)
        self._left.subtract(self._shown[group])


def _draw(
    groups: np.ndarray, share: float, rng: np.random.Generator, inside: _Inside
) -> None:
    """Hold out whole groups of one class that make up the share.

    Those that were held out for another class count.
    """
    names, counts = np.unique(groups, return_counts=True)
    sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    order = [names[place].item() for place in rng.permutation(len(names))]
    left = min(max(round(len(groups) * share), int(share > 0)), len(groups))
    left -= sum(sizes[name] for name in order if name in inside.gone)
    if left <= 0:
        return
    spared, drawn = [name for name in order if inside.spares(name)], False
    for name in spared:
        # Adding the group would miss the share by more than leaving it out.
        too_large = sizes[name] - left > left
        again = name in inside.gone or not inside.spares(name)
        if left > 0 and not too_large and not again:
            inside.remove(name)
            left, drawn = left - sizes[name], True
    if not drawn and inside.gone.isdisjoint(order) and spared:
        inside.remove(min(spared, key=lambda name: sizes[name]))
