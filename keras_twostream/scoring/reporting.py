"""The report of an evaluation, and its files."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream import _files
from keras_twostream.scoring.metrics import (
    VideoScores,
    average_precision,
    class_recall,
    confusion_matrix,
    sweep,
)
from keras_twostream.scoring.plots import plot_confusion


def report_on(
    scores: VideoScores, weights: dict[str, float], *, validation: bool = False
) -> dict[str, Any]:
    """Return accuracies, also by class.

    Args:
        scores: The scores of a model.
        weights: Weights of the streams in the fusion.
        validation: Whether the videos are there to choose by: then the report
            has a sweep over fusion weights. Never sweep on a test set.
    """
    report: dict[str, Any] = {"accuracy": scores.report(weights)}
    report["classes"] = _per_class(scores, weights)
    if validation and len(scores.streams) > 1 and np.ndim(scores.labels) == 1:
        report["sweep"] = sweep(scores.streams, scores.labels, scores.kind)
    return report


def _per_class(
    scores: VideoScores, weights: dict[str, float]
) -> dict[str, float]:
    """Return the recall, or the average precision of multi-label videos."""
    one = np.ndim(scores.labels) == 1
    measure = class_recall if one else average_precision
    shares = measure(scores.best(weights), scores.labels)
    names = scores.classes or [str(number) for number in range(len(shares))]
    return {
        name: float(share)
        for name, share in zip(names, shares, strict=True)
        if not np.isnan(share)
    }


FILES = ("scores.npz", "metrics.json", "confusion.png")  # of `save_scores`


def save_scores(
    scores: VideoScores,
    report: dict[str, Any],
    weights: dict[str, float],
    out: Path,
) -> None:
    """Write scores.npz, metrics.json and confusion.png."""
    scores.save(out / "scores.npz")
    _files.write_json(out / "metrics.json", report)
    if np.ndim(scores.labels) == 1:
        plot_confusion(
            confusion_matrix(scores.best(weights), scores.labels),
            scores.classes,
            out / "confusion.png",
        )
