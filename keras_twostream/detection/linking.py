"""Linking boxes of consecutive frames into paths.

Gkioxari & Malik 2015, section 4.2. An edge joins a box to one of the next
frame and is worth both scores and their overlap. The best path is found by
dynamic programming from the last frame back; its boxes are taken out and the
next one is sought, until a frame has no box left.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_twostream.detection.geometry import overlaps
from keras_twostream.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Path:
    """One box in each frame.

    Attributes:
        places: (T,) number of the box among those of its frame.
        score: Sum over the path's edges, divided by T.
    """

    places: np.ndarray
    score: float


def link(
    boxes: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    weight: float = 1.0,
    limit: int | None = None,
) -> list[Path]:
    """Paths through all frames, the best first; no two share a box.

    Args:
        boxes: (N, 4) of each frame; N may differ.
        scores: (N,) of each frame.
        weight: Of the overlap within an edge, the paper's lambda.
        limit: Paths at most, or None for all.

    Returns:
        Paths; of equal ones the first box wins.

    Raises:
        SpecError: If there is no frame, or one has no box.
    """
    counts = [len(frame) for frame in boxes]
    if not counts or not all(counts):
        raise SpecError(
            "A path needs a box in every frame. Received: "
            f"{len(counts)} frames, of which "
            f"{sum(not count for count in counts)} have none"
        )
    edges = _edges(boxes, scores, weight)
    left = [np.zeros(count) for count in counts]  # -inf where a box is taken
    paths: list[Path] = []
    while len(paths) < min(counts) and len(paths) != limit:
        paths.append(_best(edges, left))
        for free, place in zip(left, paths[-1].places, strict=True):
            free[place] = -np.inf
    return paths


def path_score(boxes: np.ndarray, scores: np.ndarray, weight: float = 1.0):
    """The score of one path.

    Args:
        boxes: (T, 4).
        scores: (T,).
        weight: Of the overlap.

    Returns:
        Sum of the edges over T.
    """
    steps = range(len(boxes) - 1)
    edges = _edges(boxes[:, None], scores[:, None], weight)
    return float(sum(edges[t][0, 0] for t in steps)) / len(boxes)


def _edges(boxes, scores, weight: float) -> list[np.ndarray]:
    """(N, M) value of each edge between consecutive frames."""
    frames = [
        (np.asarray(box, float), np.asarray(score, float))
        for box, score in zip(boxes, scores, strict=True)
    ]
    return [
        here[1][:, None] + there[1] + weight * overlaps(here[0], there[0])
        for here, there in itertools.pairwise(frames)
    ]


def _best(edges: list[np.ndarray], left: list[np.ndarray]) -> Path:
    """The best path among the boxes that are left."""
    ahead, choices = left[-1], []
    for edge, free in zip(reversed(edges), reversed(left[:-1]), strict=True):
        through = edge + ahead
        choices.append(through.argmax(axis=1))
        ahead = free + through.max(axis=1)
    places = [int(np.argmax(ahead))]
    for choice in reversed(choices):
        places.append(int(choice[places[-1]]))
    return Path(np.array(places), float(ahead[places[0]]) / len(left))
