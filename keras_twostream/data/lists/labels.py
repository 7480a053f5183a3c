"""What a label says."""

from collections.abc import Sequence

import numpy as np


def several(label: int | Sequence[int]) -> tuple[int, ...]:
    """A label as the classes that a video shows; none for -1."""
    return tuple(x for x in np.atleast_1d(label).tolist() if x >= 0)
