"""Linking of boxes in consecutive frames into paths.

Gkioxari & Malik 2015, section 4.2. An edge joins a box to one of the next
frame, and its value is both scores plus their weighted overlap. Dynamic
programming from the last frame back finds the best path. Its boxes are removed
and the search repeats until a frame has no box left. A single frame has no
edges, and each of its boxes is a path of the box's own score.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_twostream.detection.geometry import overlaps
from keras_twostream.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Path:
    """A path of one box in each frame.

    Attributes:
        places: (T,) index of each box in its frame.
        score: Sum of the path's edge values, divided by T; the box's score
            where T is 1.
    """

    places: np.ndarray
    score: float


def link(
    boxes: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    weight: float = 1.0,
    limit: int | None = None,
) -> list[Path]:
    """Return paths through all frames, the best first, without shared boxes.

    Args:
        boxes: Boxes (N, 4) of each frame; N may differ.
        scores: Scores (N,) of each frame.
        weight: Weight of the overlap in an edge, the paper's lambda.
        limit: Largest number of paths, or None for all.

    Returns:
        The paths; ties go to the first box.

    Raises:
        SpecError: If there is no frame, or a frame has no box.
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
    if not edges:
        left = [np.array(scores[0], float)]
    paths: list[Path] = []
    while len(paths) < min(counts) and len(paths) != limit:
        paths.append(_best(edges, left))
        for free, place in zip(left, paths[-1].places, strict=True):
            free[place] = -np.inf
    return paths


def _edges(boxes, scores, weight: float) -> list[np.ndarray]:
    """Return the (N, M) values of edges between consecutive frames."""
    frames = [
        (np.asarray(box, float), np.asarray(score, float))
        for box, score in zip(boxes, scores, strict=True)
    ]
    return [
        here[1][:, None] + there[1] + weight * overlaps(here[0], there[0])
        for here, there in itertools.pairwise(frames)
    ]


def _best(edges: list[np.ndarray], left: list[np.ndarray]) -> Path:
    """Return the best path among the boxes that are left."""
    ahead, choices = left[-1], []
    for edge, free in zip(reversed(edges), reversed(left[:-1]), strict=True):
        through = edge + ahead
        choices.append(through.argmax(axis=1))
        ahead = free + through.max(axis=1)
    places = [int(np.argmax(ahead))]
    for choice in reversed(choices):
        places.append(int(choice[places[-1]]))
    return Path(np.array(places), float(ahead[places[0]]) / len(left))
