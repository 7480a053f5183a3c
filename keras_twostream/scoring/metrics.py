"""Scores of videos, their fusion and their accuracy."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_twostream import _html
from keras_twostream._files import expanded, write_arrays
from keras_twostream._printing import percent
from keras_twostream.data.lists.labels import check_labels, class_numbers
from keras_twostream.errors import SpecError, did_you_mean
from keras_twostream.layers import concentration
from keras_twostream.spec import FUSED, SCORE_FUSIONS

KINDS = ("logits", "softmax")
_SLACK = 1e-2  # of the sums of probabilities that were saved in half precision
SWEEP = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


@dataclasses.dataclass(frozen=True, repr=False)
class VideoScores:
    """The scores of a network for every video, stream by stream.

    In a notebook it shows its accuracies.

    Attributes:
        names: Path of each video.
        labels: (videos,) class numbers, or (videos, classes) of 0 and 1.
        scores: Mapping from stream to (videos, classes), the mean over the
            views.
        kind: Whether scores are "logits" or "softmax" probabilities.
        classes: Class names, or empty.
    """

    names: Sequence[str]
    labels: np.ndarray
    scores: Mapping[str, np.ndarray]
    kind: str = "logits"
    classes: Sequence[str] = ()

    def save(self, path: str | os.PathLike) -> None:
        """Write an npz without pickles; `load_scores` reads it."""
        arrays = {f"scores/{k}": v for k, v in self.scores.items()}
        write_arrays(
            expanded(path),
            {
                "names": np.array(self.names, dtype=str),
                "labels": np.asarray(self.labels),
                "kind": np.array(self.kind),
                "classes": np.array(self.classes, dtype=str),
                **arrays,
            },
        )

    def report(
        self, weights: Mapping[str, float] | None = None
    ) -> dict[str, dict[str, float]]:
        """Return the accuracies of each stream, and of `best`'s fusion.

        Args:
            weights: Weights of the streams in the fusion; equal when None.

        Returns:
            A dict from stream, and "fused", to the numbers of
            `accuracy_report`.
        """
        every_score = {**self.scores, FUSED: self.best(weights)}
        return {
            name: accuracy_report(scores, self.labels)
            for name, scores in every_score.items()
        }

    def best(self, weights: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the (videos, classes) fused scores.

        Args:
            weights: Weights of the streams, where the network did not fuse them
                itself; equal when None. `fuse(scores.streams, weights)` fuses
                them in another way than the network.
        """
        if FUSED in self.scores:
            return self.scores[FUSED]
        return fuse(self.streams, weights, self.kind)

    @property
    def streams(self) -> dict[str, np.ndarray]:
        """Return the scores of the streams, without the fused ones."""
        only = {k: v for k, v in self.scores.items() if k != FUSED}
        return only or dict(self.scores)

    def __repr__(self) -> str:
        numbers = "labels unknown"
        if self._labelled():
            shares = self.report()[FUSED].items()
            numbers = ", ".join(f"{n} {percent(share)}" for n, share in shares)
        return f"<VideoScores of {len(self.names)} videos: {numbers}>"

    def _repr_html_(self) -> str:
        title = f"<b>{len(self.names)} videos</b>"
        if not self._labelled():
            return f"{title}, labels unknown"
        report = self.report()
        rows = [
            [stream, *map(percent, numbers.values())]
            for stream, numbers in report.items()
        ]
        return title + _html.table(["stream", *report[FUSED]], rows)

    def _labelled(self) -> bool:
        return bool(known(self.labels).any())


def known(labels: np.ndarray) -> np.ndarray:
    """Return (videos,) bool, False where a video's label is not known."""
    labels = np.asarray(labels)
    if labels.ndim == 1:
        return labels >= 0
    return np.asarray((labels > 0).any(axis=1))


# === Fusion ===


def fuse(
    scores: Mapping[str, np.ndarray],
    weights: Mapping[str, float] | None = None,
    kind: str = "logits",
    method: str | None = None,
) -> np.ndarray:
    """Return the weighted mean of the scores of several streams or networks.

    Args:
        scores: Mapping from name to (videos, classes).
        weights: Mapping from name of `scores` to weight; 1 where missing, and
            0 to leave the scores out.
        kind: Kind of the scores, "logits" or "softmax".
        method: Quantity that is averaged: "logits", "softmax" probabilities, or
            probabilities weighted by their concentration ("sci", FstCN's
            fusion, and the same as "sci_max" where there are no clips); the
            scores themselves when None.

    Returns:
        (videos, classes).

    Raises:
        SpecError: If shapes differ, a weight is negative or has no scores, all
            are 0, scores are not of the kind, or probabilities should become
            logits.
    """
    weights = weights or {}
    _check_weights(scores, weights)
    counted = {
        name: np.asarray(x)
        for name, x in scores.items()
        if weights.get(name, 1.0) != 0
    }
    return _mean(*_to_average(counted, kind, method), weights)


def _to_average(
    scores: Mapping[str, np.ndarray], kind: str, method: str | None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the values that a method averages, and the weight of each."""
    shapes = {name: score.shape for name, score in scores.items()}
    if len(set(shapes.values())) != 1:
        raise SpecError(
            "Scores to fuse need one shape, (videos, classes). "
            f"Received: {shapes}"
        )
    concentrated = method in ("sci", "sci_max")
    wanted = "softmax" if concentrated else method or kind
    _check_kinds(scores, kind, wanted)
    scores = {n: as_kind(score, kind, wanted) for n, score in scores.items()}
    if not concentrated:
        return scores, dict.fromkeys(scores, 1.0)
    return scores, {n: _concentration(score) for n, score in scores.items()}


def _check_kinds(
    scores: Mapping[str, np.ndarray], kind: str, wanted: str
) -> None:
    """Refuse logits that are given for probabilities, and the reverse."""
    if kind == "softmax":
        wrong = [
            name
            for name, score in scores.items()
            if ((score < -_SLACK) | (score > 1 + _SLACK)).any()
        ]
    else:
        wrong = [
            name
            for name, score in scores.items()
            if are_shares(score) and not np.isin(score, (0, 1)).all()  # votes
        ]
        if wanted == kind and len(wrong) == len(scores):
            return  # the mean is the same under either name
    if wrong:
        other = "logits" if kind == "softmax" else "probabilities"
        raise SpecError(
            f"Scores are fused with kind={kind!r}, and those of "
            f"{', '.join(wrong)} look like {other}. Make all of them "
            "probabilities, kind='softmax', or all of them logits."
        )


def are_shares(scores: np.ndarray) -> bool:
    """Return whether rows are probabilities of two classes or more."""
    if not np.size(scores) or scores.shape[-1] < 2 or scores.min() < 0:
        return False
    return np.allclose(scores.sum(-1), 1.0, atol=_SLACK)


def _mean(
    scores: Mapping[str, np.ndarray],
    counts: Mapping[str, Any],
    weights: Mapping[str, float],
) -> np.ndarray:
    weights = {name: weights.get(name, 1.0) * counts[name] for name in scores}
    total = sum(weights.values())
    parts = [weights[name] / total * scores[name] for name in scores]
    return np.sum(parts, axis=0)


def _check_weights(
    scores: Mapping[str, np.ndarray], weights: Mapping[str, float]
) -> None:
    for name, weight in weights.items():
        if name not in scores:
            raise SpecError(
                f"There is a weight for {name!r}, and no scores of that name."
                f"{did_you_mean(name, scores)}"
            )
        if not 0 <= weight < np.inf:
            raise SpecError(
                "The weights of scores to fuse must be 0 or greater. "
                f"Received: {name}={weight}"
            )
    if weights and not sum(weights.get(name, 1.0) for name in scores):
        raise SpecError(
            "The weights of scores to fuse must add up to more than 0. "
            f"Received: {dict(weights)}"
        )


def sweep(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    kind: str = "logits",
    ratios: Sequence[float] = SWEEP,
) -> list[dict[str, Any]]:
    """Return the accuracy of every fusion of two or more streams.

    Args:
        scores: Mapping from stream to (videos, classes).
        labels: (videos,), where -1 leaves a video out.
        kind: Kind of the scores, "logits" or "softmax".
        ratios: Weights of each further stream against the first one's 1.

    Returns:
        One row per combination of method and weights, with its top1; the best
        first.

    Raises:
        SpecError: If the labels are not one class number for each video.
    """
    _check_labels(labels, next(iter(scores.values())), ndim=1)
    there = known(labels)
    scores = {name: np.asarray(x)[there] for name, x in scores.items()}
    labels = np.asarray(labels)[there]
    first, *others = scores
    methods = (*KINDS, "sci") if kind == "logits" else (kind, "sci")
    rows = []
    for method in methods:
        parts = _to_average(scores, kind, method)
        for draw in itertools.product(ratios, repeat=len(others)):
            weights = {first: 1.0, **dict(zip(others, draw, strict=True))}
            fused = _mean(*parts, weights)
            rows.append(
                {
                    "method": method,
                    "weights": weights,
                    "top1": top_k(fused, labels, 1),
                }
            )
    return sorted(rows, key=lambda row: -row["top1"])


def as_kind(scores: np.ndarray, kind: str, wanted: str) -> np.ndarray:
    """Convert logits to probabilities; return anything else as it is.

    Raises:
        SpecError: If probabilities should become logits.
    """
    for name in (kind, wanted):
        if name not in KINDS:
            raise SpecError(
                f"Scores are fused as {', '.join(SCORE_FUSIONS)}. "
                f"Received: {name!r}"
            )
    if kind == wanted:
        return np.asarray(scores, "float64")
    if kind == "softmax":
        raise SpecError(
            "The scores are probabilities; their logits are not known. "
            "Fuse with method softmax."
        )
    shifted = scores - scores.max(axis=-1, keepdims=True)
    exponents = np.exp(shifted.astype("float64"))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def _concentration(shares: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(concentration(shares))


# === Accuracy ===


def accuracy_report(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return top1, top5 and mean class accuracy.

    Five of at most five classes are always right, so that there is no top5.
    For labels that are 0/1 vectors, return the mean average precision.

    Args:
        scores: (videos, classes).
        labels: (videos,), where -1 leaves a video out, or (videos, classes)
            of 0 and 1.

    Raises:
        SpecError: If a label is not the number of a class, or none is known.
    """
    _check_labels(labels, scores)
    there = known(labels)
    if not there.any():
        raise SpecError(
            "There is nothing to measure: of the "
            f"{len(labels)} videos none has a label."
        )
    if np.ndim(labels) == 2:
        return {"mean_average_precision": mean_average_precision(
            scores, labels)}  # fmt: skip
    scores, labels = np.asarray(scores)[there], np.asarray(labels)[there]
    recall = class_recall(scores, labels)
    five = scores.shape[-1] > 5
    return {
        "top1": top_k(scores, labels, 1),
        **({"top5": top_k(scores, labels, 5)} if five else {}),
        "mean_class": float(np.nanmean(recall)),
    }


def _check_labels(
    labels: Sequence[Any] | np.ndarray,
    scores: np.ndarray,
    ndim: int | None = None,
) -> None:
    """Refuse labels that are not among the classes of the network."""
    if np.ndim(scores) != 2:
        raise SpecError(
            "Scores to measure are of the shape (videos, classes). Received: "
            f"the shape {np.shape(scores)}"
        )
    videos, classes = np.shape(scores)
    if np.shape(labels)[:1] != (videos,):
        raise SpecError(
            f"Each of the {videos} videos needs a label. Received: labels of "
            f"the shape {np.shape(labels)}"
        )
    if ndim not in (None, np.ndim(labels)):
        shape = "(videos,)" if ndim == 1 else "(videos, classes)"
        raise SpecError(
            f"This measure takes labels of the shape {shape}. Received: the "
            f"shape {np.shape(labels)}. `accuracy_report` takes either."
        )
    if np.ndim(labels) == 2:
        if np.shape(labels)[1] != classes:
            raise SpecError(
                f"The labels are of {np.shape(labels)[1]} classes, and the "
                f"scores of {classes}."
            )
        return
    names = [f"Video number {number}" for number in range(len(labels))]
    numbers = map(class_numbers, names, labels)
    check_labels(names, list(numbers), classes)


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the share of videos whose class is among the k best.

    A tie, or a score that is not a number, counts against the network.
    """
    own = np.take_along_axis(scores, np.asarray(labels)[:, None], axis=1)
    better = (scores >= own).sum(axis=1) - 1
    right = (better < k) & _sound(scores)
    return float(np.mean(right)) if len(scores) else 0.0


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (classes, classes) counts; rows are the true class.

    A tie counts against the network, as in `top_k`. Videos with a score that is
    not a number, or without a label (-1), are not counted.

    Raises:
        SpecError: If the labels are not one class number for each video.
    """
    _check_labels(labels, scores, ndim=1)
    scores, labels = np.asarray(scores), np.asarray(labels)
    classes = scores.shape[-1]
    counted = _sound(scores) & known(labels)
    scores, labels = scores[counted], labels[counted]
    best = scores.argmax(axis=-1)
    rival = classes - 1 - scores[:, ::-1].argmax(axis=-1)
    places = labels * classes + np.where(best == labels, rival, best)
    return np.bincount(places, minlength=classes**2).reshape(classes, -1)


def _sound(scores: np.ndarray) -> np.ndarray:
    """Return a (videos,) mask of videos whose scores are all numbers."""
    return ~np.isnan(scores).any(axis=-1)


def class_recall(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the (classes,) share of each class's videos that are correct.

    It is NaN for a class without videos.
    """
    labels = np.asarray(labels)
    right = confusion_matrix(scores, labels).diagonal()
    counts = np.bincount(labels[labels >= 0], minlength=len(right))
    return np.where(counts > 0, right / np.maximum(counts, 1), np.nan)


def average_precision(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the (classes,) areas under precision and recall.

    The area is NaN for a class that no video shows. Equal scores are one
    threshold, as in scikit-learn, so that the order of the videos does not
    matter. A video with a score that is not a number counts against the
    network: it is never found, and it is a false alarm of the classes that it
    does not show.

    Args:
        scores: (videos, classes).
        labels: (videos, classes) of 0 and 1.

    Raises:
        SpecError: If the labels are not of that shape.
    """
    _check_labels(labels, scores, ndim=2)
    scores = np.asarray(scores)
    sound = _sound(scores)
    pairs = zip(scores.T, np.asarray(labels).T, strict=True)
    return np.array(
        [_area(score, truth > 0, sound) for score, truth in pairs], float
    )


def _area(score: np.ndarray, shown: np.ndarray, sound: np.ndarray) -> float:
    """Return the area of one class; all arguments are (videos,)."""
    if not shown.any():
        return float("nan")
    score = np.where(sound, score, np.where(shown, -np.inf, np.inf))
    order = np.argsort(-score, kind="stable")
    score, shown, sound = score[order], shown[order], sound[order]
    found = np.searchsorted(-score, -score, side="right")
    precision = np.cumsum(shown)[found - 1] / found
    return float(np.mean(np.where(sound, precision, 0.0)[shown]))


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of `average_precision` over the classes with videos."""
    areas = average_precision(scores, labels)
    return float(np.nanmean(areas)) if not np.isnan(areas).all() else 0.0
