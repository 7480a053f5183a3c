"""Late fusion by a linear SVM (Simonyan & Zisserman 2014, section 5)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

from keras_twostream.errors import SpecError


def stacked(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the streams' score vectors, each of length 1, side by side.

    Args:
        scores: Mapping from stream to (videos, classes).

    Returns:
        (videos, streams * classes).
    """
    parts = []
    for name in sorted(scores):
        lengths = np.linalg.norm(scores[name], axis=-1, keepdims=True)
        parts.append(scores[name] / np.maximum(lengths, 1e-12))
    return np.concatenate(parts, axis=-1)


def svm_fusion(
    train: Mapping[str, np.ndarray],
    labels: np.ndarray,
    test: Mapping[str, np.ndarray],
    cost: float = 1.0,
) -> np.ndarray:
    """Return scores of a multi-class linear SVM on stacked, normalised scores.

    Features serve as well as scores: C3D's fc6 with a linear SVM (Tran et
    al. 2015, section 4) is the case of one "stream".

    Args:
        train: Mapping from stream to (videos, classes) of the training videos.
        labels: Class numbers of the training videos; -1 leaves a video out.
        test: The same mapping for the videos to score.
        cost: C of the SVM.

    Returns:
        (videos, classes) decision values; classes that the labels lack get
        minus infinity, and videos with a score that is not a number, NaN.

    Raises:
        SpecError: If the two do not have the same streams of the same widths,
            a training score is not a number, or the labels are of one class.
    """
    one, two = _widths(train), _widths(test)
    if one != two:
        raise SpecError(
            "Training and test scores need the same streams. Received: "
            f"{one} and {two}"
        )
    known = np.asarray(labels) >= 0
    _check_training(stacked(train)[known], np.asarray(labels)[known])
    classifier: Any = LinearSVC(C=cost)
    classifier.fit(stacked(train)[known], np.asarray(labels)[known])
    rows = stacked(test)
    sound = np.isfinite(rows).all(axis=-1)
    values = classifier.decision_function(np.where(sound[:, None], rows, 0.0))
    if values.ndim == 1:  # two classes have one plane between them
        values = np.stack([-values, values], axis=-1)
    width = next(iter(test.values())).shape[-1]
    width = max(width, classifier.classes_.max() + 1)
    scores = np.full((len(values), width), -np.inf)
    scores[:, classifier.classes_] = values
    scores[~sound] = np.nan
    return scores


def _widths(scores: Mapping[str, np.ndarray]) -> dict[str, int]:
    return {name: np.shape(scores[name])[-1] for name in sorted(scores)}


def _check_training(rows: np.ndarray, labels: np.ndarray) -> None:
    """Refuse training scores that an SVM cannot learn from."""
    if not np.isfinite(rows).all():
        raise SpecError(
            "A score of a training video is not a finite number. Leave the "
            "video out, or score it again."
        )
    if len(np.unique(labels)) < 2:
        raise SpecError(
            "An SVM learns to tell classes apart: the training videos need "
            "labels of two classes or more."
        )
