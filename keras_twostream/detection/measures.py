"""Frame-AP, video-AP and the area under the ROC curve.

Gkioxari & Malik 2015, section 5. All measures take two mappings from a
video's name: to its detections, and to its true tracks.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_twostream.detection.geometry import overlaps
from keras_twostream.detection.tracks import Track, Tube, track_overlap

Truths = Mapping[str, Sequence[Track]]
Tubes = Mapping[str, Sequence[Tube]]


@dataclasses.dataclass(frozen=True)
class Detections:
    """The boxes detected in single frames of one video.

    Attributes:
        frames: (N,) frame number of each box.
        labels: (N,) names of actions.
        boxes: (N, 4).
        scores: (N,).
    """

    frames: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def of_tubes(cls, tubes: Sequence[Tube]) -> "Detections":
        """Return the boxes of tubes, each with the score of its tube."""
        if not tubes:
            none = np.zeros(0)
            return cls(none, none, np.zeros((0, 4)), none)
        return cls(
            np.concatenate([tube.frames for tube in tubes]),
            np.repeat([x.label for x in tubes], [len(x) for x in tubes]),
            np.concatenate([tube.boxes for tube in tubes]),
            np.repeat([x.score for x in tubes], [len(x) for x in tubes]),
        )


@dataclasses.dataclass(frozen=True)
class Curve:
    """A ROC curve, averaged over classes.

    Attributes:
        area: Area below the curve, up to the largest false-positive rate.
        false_positives: (N,) rates, ascending.
        true_positives: (N,) mean rates.
    """

    area: float
    false_positives: np.ndarray
    true_positives: np.ndarray


def average_precision(
    scores: np.ndarray, hits: np.ndarray, count: int
) -> float:
    """Return the area under the precision-recall curve (PASCAL VOC 2010).

    Precision at a recall is the best at that recall or beyond. Equal scores
    are one threshold. A detection whose score is not a number is wrong, and
    comes before all others.

    Args:
        scores: (N,) scores of the detections.
        hits: (N,) bool, True for a correct detection.
        count: Number of true things to find.

    Returns:
        The average precision, 0..1; NaN where there is nothing to find.
    """
    if not count:
        return float("nan")
    keys = sort_keys(scores)
    order = np.argsort(keys, kind="stable")
    hits = (np.asarray(hits, bool) & ~np.isnan(scores))[order]
    ranks = np.searchsorted(keys[order], keys[order], side="right")
    precision = np.cumsum(hits)[ranks - 1] / ranks
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[hits].sum() / count)


def frame_ap(
    detections: Mapping[str, Detections], truths: Truths, threshold: float = 0.5
) -> dict[str, float]:
    """Return the average precision of single boxes, by class.

    A box is correct if it overlaps a true box of its class and frame by more
    than `threshold`, and no better box has taken that true box.

    Args:
        detections: Detected boxes by video.
        truths: True tracks by video.
        threshold: Least intersection over union.

    Returns:
        A dict from class to average precision.
    """

    def candidates(label: str) -> Iterator[tuple[float, Any, np.ndarray]]:
        for video, boxes in detections.items():
            of_class = np.flatnonzero(boxes.labels == label)
            truth = _by_frame(truths.get(video, ()), label)
            for i in of_class:
                frame = int(boxes.frames[i])
                there = truth.get(frame, np.zeros((0, 4)))
                shared = overlaps(boxes.boxes[i][None], there)[0]
                yield boxes.scores[i], (video, frame), shared

    def count(track: Track) -> int:
        return len(track)

    return _by_class(truths, candidates, count, threshold)


def video_ap(
    detections: Tubes, truths: Truths, threshold: float = 0.5
) -> dict[str, float]:
    """Return the average precision of tubes, by class.

    A tube is correct if its mean overlap with a true track of its class, over
    all frames of either, is more than `threshold`, and no better tube has
    taken that track.

    Args:
        detections: Detected tubes by video.
        truths: True tracks by video.
        threshold: Least mean intersection over union.

    Returns:
        A dict from class to average precision.
    """

    def candidates(label: str) -> Iterator[tuple[float, Any, np.ndarray]]:
        for video, tubes in detections.items():
            truth = [x for x in truths.get(video, ()) if x.label == label]
            for tube in tubes:
                if tube.label == label:
                    shared = [track_overlap(tube, track) for track in truth]
                    yield tube.score, video, np.array(shared)

    return _by_class(truths, candidates, lambda track: 1, threshold)


def mean(values: Mapping[str, float]) -> float:
    """Return the mean over the classes that occur."""
    return float(np.nanmean(list(values.values()))) if values else float("nan")


def roc(
    detections: Tubes,
    truths: Truths,
    threshold: float = 0.5,
    *,
    top: int = 3,
    limit: float = 0.6,
) -> Curve:
    """Return the ROC curve of UCF-Sports, for actions with their places.

    Only the best tubes of each class and video count. A tube is correct if its
    mean overlap is at least `threshold` and no better tube has found the video.
    Among equal scores, wrong tubes come first. As in the authors' code
    (`get_ROC_curve_JHMDB.m`) the area ends at the last wrong tube whose rate is
    within the limit: detections without a wrong tube have none.

    Args:
        detections: Detected tubes of every class, by video.
        truths: True tracks by video.
        threshold: Least mean intersection over union.
        top: Number of tubes of each class and video that count.
        limit: Largest false-positive rate.

    Returns:
        The curve averaged over classes, and its area; NaN without a track.
    """
    curves = [
        _class_curve(*_ranked(detections, truths, label, threshold, top), limit)
        for label in _labels(truths)
    ]
    return averaged(curves)


def averaged(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> Curve:
    """Return the mean of stepwise curves, by the authors' method.

    At each rate of any curve, a curve's value is the higher of the two points
    around that rate.

    Args:
        curves: Pairs (false-positive rates, true-positive rates), both
            ascending.

    Returns:
        The mean curve.
    """
    if not curves:
        return Curve(float("nan"), np.zeros(0), np.zeros(0))
    rates = np.unique(np.concatenate([rate for rate, _ in curves]))
    heights = [_heights(curve, rates) for curve in curves if len(curve[0])]
    height = np.sum(heights, axis=0) / len(curves) if heights else 0 * rates
    return Curve(area_below(rates, height), rates, height)


def area_below(rates: np.ndarray, heights: np.ndarray) -> float:
    """Return the area of steps, each as high as the curve at its right end."""
    return float(np.sum(np.diff(rates) * heights[1:]))


def sort_keys(scores: np.ndarray | float) -> np.ndarray:
    """Return keys that sort scores: what is no number first, then the best.

    Args:
        scores: Scores of any shape.
    """
    scores = np.asarray(scores, float)
    return np.where(np.isnan(scores), -np.inf, -scores)


# === By class ===


def _labels(truths: Truths) -> list[str]:
    return sorted({x.label for tracks in truths.values() for x in tracks})


def _by_frame(tracks: Sequence[Track], label: str) -> dict[int, np.ndarray]:
    """Return the true boxes of a class in each frame."""
    boxes: dict[int, list[np.ndarray]] = {}
    for track in tracks:
        if track.label == label:
            for frame, box in zip(track.frames, track.boxes, strict=True):
                boxes.setdefault(int(frame), []).append(box)
    return {frame: np.stack(there) for frame, there in boxes.items()}


def _by_class(
    truths: Truths,
    candidates: Callable[[str], Iterator[tuple[float, Any, np.ndarray]]],
    count: Callable[[Track], int],
    threshold: float,
) -> dict[str, float]:
    """Return each class's average precision, from matched candidates.

    A candidate is a score, a place (such as a frame) within which it competes,
    and its overlap with each true thing there.
    """
    result = {}
    for label in _labels(truths):
        ranked = sorted(candidates(label), key=_rank)
        total = sum(
            count(track)
            for tracks in truths.values()
            for track in tracks
            if track.label == label
        )
        hits = _matched(ranked, threshold)
        scores = np.array([score for score, _, _ in ranked])
        result[label] = average_precision(scores, hits, total)
    return result


def _rank(candidate: tuple[float, Any, np.ndarray]) -> tuple[Any, ...]:
    """Return a key that sorts best first; the overlaps order equal scores."""
    score, _, shared = candidate
    return (sort_keys(score), *sorted(-shared))


def _matched(ranked, threshold: float) -> np.ndarray:
    """Return (N,) bool, True for each candidate that takes a true thing.

    The candidates come best first. One without a score takes nothing.
    """
    taken: dict[Any, set[int]] = {}
    hits = np.zeros(len(ranked), bool)
    for i, (score, place, shared) in enumerate(ranked):
        if np.isnan(score):
            continue
        free = shared.copy()
        free[list(taken.get(place, ()))] = 0
        if free.size and free.max() > threshold:
            taken.setdefault(place, set()).add(int(free.argmax()))
            hits[i] = True
    return hits


# === ROC ===


def _ranked(
    detections: Tubes, truths: Truths, label: str, threshold: float, top: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return scores and hits of a class's best tubes, and its video count."""
    scores, hits = [], []
    for video, tubes in detections.items():
        truth = [x for x in truths.get(video, ()) if x.label == label]
        mine = [
            (tube.score, _best_overlap(tube, truth))
            for tube in tubes
            if tube.label == label
        ]
        covered = False
        for score, overlap in sorted(mine, key=_worst_of_equals)[:top]:
            right = not (covered or np.isnan(score)) and overlap >= threshold
            covered |= right
            scores.append(score)
            hits.append(right)
    videos = sum(
        any(track.label == label for track in tracks)
        for tracks in truths.values()
    )
    return np.array(scores), np.array(hits, bool), videos


def _best_overlap(tube: Tube, truth: Sequence[Track]) -> float:
    return max((track_overlap(tube, track) for track in truth), default=-1.0)


def _worst_of_equals(ranked: tuple[float, float]) -> tuple[Any, float]:
    score, overlap = ranked
    return sort_keys(score), overlap


def _class_curve(
    scores: np.ndarray, hits: np.ndarray, videos: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    hits = hits[np.lexsort((hits, sort_keys(scores)))]
    wrong = np.cumsum(~hits)
    false = wrong / max(1, wrong[-1] if len(wrong) else 1)
    true = np.cumsum(hits) / videos
    return false[false <= limit], true[false <= limit]


def _heights(curve, rates: np.ndarray) -> np.ndarray:
    """Return the curve at `rates`: the nearest point or the next, if higher."""
    false, true = curve
    near = np.abs(rates[:, None] - false).argmin(axis=1)
    other = near + np.where(false[near] <= rates, 1, -1)
    outside = (other < 0) | (other >= len(false)) | (false[near] == rates)
    return np.maximum(true[near], true[np.where(outside, near, other)])
