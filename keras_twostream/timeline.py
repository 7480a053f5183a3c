"""Times in a video: segments of one action, and states around an action.

Plain data; it imports no more than NumPy.
"""

import dataclasses
import numbers
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_twostream.errors import SpecError

THRESHOLD = 0.5  # least probability of a segment's windows


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a video that shows one action.

    Attributes:
        start: First second.
        end: Last second.
        label: Name of the action.
        score: Mean probability of the action in the windows that name it.
    """

    start: float
    end: float
    label: str
    score: float


@dataclasses.dataclass(frozen=True)
class States:
    """The two states of the world that an action lies between.

    Attributes:
        action: Number of the class.
        precondition: First and last second of the state before the action.
        effect: First and last second of the state after it.
        distance: Cosine distance of the transformed precondition to the
            effect, 0 to 2.
    """

    action: int
    precondition: tuple[float, float]
    effect: tuple[float, float]
    distance: float


class Stretch(NamedTuple):
    """Seconds with one likeliest class.

    Attributes:
        start: First second.
        end: Last second.
        winner: Number of the class.
        score: Mean probability of the class in the windows that name it.
    """

    start: float
    end: float
    winner: int
    score: float


def stretches(
    windows: np.ndarray, scores: np.ndarray, threshold: float = 0.0
) -> list[Stretch]:
    """Return the stretches of time with one answer.

    Windows whose best class is the same are joined, unless as much as a
    window's length lies between them. The border of two windows that overlap
    is half-way between their centres.

    Args:
        windows: (N, 2) start and end of each window in seconds, ascending.
        scores: (N, C) probabilities of each window.
        threshold: Least probability of the best class; windows below it
            have no answer.

    Returns:
        Stretches in order, which do not overlap.

    Raises:
        SpecError: If the threshold is not between 0 and 1.
    """
    _check_threshold(threshold)
    longest = float(np.max(windows[:, 1] - windows[:, 0]))
    joined: list[list[Stretch]] = []
    for piece in _pieces(windows, scores, threshold):
        last = joined[-1][-1] if joined else None
        if (
            last is not None
            and last.winner == piece.winner
            and piece.start - last.end < longest
        ):
            joined[-1].append(piece)
        else:
            joined.append([piece])
    return [_whole(pieces) for pieces in joined]


def _pieces(
    windows: np.ndarray, scores: np.ndarray, threshold: float
) -> Iterator[Stretch]:
    """Yield each window that has an answer, cut where its neighbours begin."""
    centres = windows.mean(axis=1)
    middles = (centres[1:] + centres[:-1]) / 2
    starts = np.maximum(windows[:, 0], np.append(-np.inf, middles))
    ends = np.minimum(windows[:, 1], np.append(middles, np.inf))
    winners, best = scores.argmax(axis=1), scores.max(axis=1)
    for place in np.flatnonzero(best >= threshold):
        yield Stretch(
            float(starts[place]),
            float(ends[place]),
            int(winners[place]),
            float(best[place]),
        )


def _whole(pieces: list[Stretch]) -> Stretch:
    mean = float(np.mean([piece.score for piece in pieces]))
    return Stretch(pieces[0].start, pieces[-1].end, pieces[0].winner, mean)


def _check_threshold(threshold: float) -> None:
    if isinstance(threshold, numbers.Real) and 0 <= threshold <= 1:
        return
    raise SpecError(
        "`threshold` must be a probability between 0 and 1. "
        f"Received: threshold={threshold!r}"
    )
