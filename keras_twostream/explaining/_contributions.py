"""The share of each stream in a score: Shapley values.

L. S. Shapley: A value for n-person games. 1953. The players are the streams,
and one that is absent shows its neutral input: the mean image, or no motion.
A player's value is the mean of what it adds, over all orders of arrival, so
the values add up to the whole difference.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Coalition = frozenset[str]


def coalitions(streams: Sequence[str]) -> list[Coalition]:
    """Return every set of streams, the empty one first."""
    return [
        frozenset(chosen)
        for size in range(len(streams) + 1)
        for chosen in itertools.combinations(streams, size)
    ]


def shapley_values(
    scores: Mapping[Coalition, np.ndarray], streams: Iterable[str]
) -> dict[str, np.ndarray]:
    """Return each stream's share of the score of all together.

    Args:
        scores: Score of every set in `coalitions`, arrays of one shape.
        streams: The streams.

    Returns:
        One array for each stream. They add up to the score of all streams
        minus that of none.
    """
    streams = tuple(streams)
    return {stream: _value(scores, stream, streams) for stream in streams}


def _value(
    scores: Mapping[Coalition, np.ndarray],
    player: str,
    players: Sequence[str],
) -> np.ndarray:
    count = len(players)
    total: np.ndarray = np.zeros_like(scores[frozenset()], dtype=np.float64)
    for others in coalitions([p for p in players if p != player]):
        orders = math.factorial(len(others)) * math.factorial(
            count - len(others) - 1
        )
        added = np.float64(scores[others | {player}]) - scores[others]
        total += orders / math.factorial(count) * added
    return total


def mixed(
    clips: Mapping[str, np.ndarray],
    present: Coalition,
    neutral: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return clips in which the streams that are not present say nothing.

    Args:
        clips: (B, T, H, W, C) by stream.
        present: The streams that stay as they are.
        neutral: (C,) pixel that says nothing, of each stream.
    """
    return {
        stream: clip
        if stream in present
        else np.broadcast_to(neutral[stream], clip.shape).astype(np.float32)
        for stream, clip in clips.items()
    }
