"""Labels: the number of a class, several numbers, or -1."""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError

MOST_CLASSES = 100_000  # more classes than any data set has


def several(label: Any) -> tuple[int, ...]:
    """Return the class numbers of a label; none for -1."""
    return tuple(x for x in np.atleast_1d(label).tolist() if x >= 0)


def known(labels: Sequence[int]) -> tuple[int, ...]:
    """Return the labels of a video in a list, each once, without -1.

    Raises:
        SpecError: If a label cannot be the number of a class.
    """
    for label in labels:
        if not -1 <= label < MOST_CLASSES:
            raise SpecError(
                f"has the label {label}: classes are numbered from 0, below "
                f"{MOST_CLASSES:,}, and -1 stands for one that is not known. "
                "Correct the list."
            )
    return tuple(dict.fromkeys(label for label in labels if label >= 0))


def label_array(
    paths: Sequence[str | os.PathLike[str]],
    labels: Sequence[Any],
    classes: int = 0,
) -> np.ndarray:
    """Return labels as an array for training.

    Args:
        paths: The videos, for errors.
        labels: A number or a tuple of numbers for each video.
        classes: Number of the model's classes; 0 to count the labels' own.

    Returns:
        (N,) int32, or (N, classes) float32 of 0 and 1 where any label is a
        tuple.

    Raises:
        SpecError: If a label is none of the classes; the message names the
            video.
    """
    numbers = [
        class_numbers(path, x) for path, x in zip(paths, labels, strict=True)
    ]
    check_labels(paths, numbers, classes or MOST_CLASSES)
    if not any(np.ndim(label) for label in labels):
        return np.array([one[0] for one in numbers], np.int32)
    largest = max((max(one, default=-1) for one in numbers), default=-1)
    array = np.zeros((len(numbers), classes or largest + 1), np.float32)
    for row, shown in zip(array, numbers, strict=True):
        row[[x for x in shown if x >= 0]] = 1.0
    return array


def check_labels(
    places: Sequence[str | os.PathLike[str]],
    labels: Sequence[Sequence[int]],
    classes: int,
) -> None:
    """Refuse labels that are none of the classes.

    Args:
        places: The videos, for the error.
        labels: The class numbers of each video; -1 for an unknown one.
        classes: Number of classes.

    Raises:
        SpecError: If a label is below -1 or not below `classes`.
    """
    for place, shown in zip(places, labels, strict=True):
        wrong = [label for label in shown if not -1 <= label < classes]
        if wrong:
            raise SpecError(
                f"{place} has the label {wrong[0]}: classes are numbered from "
                f"0 to {classes - 1}, and -1 stands for one that is not "
                "known. Correct the list."
            )


def numbers_in(classes: Sequence[str]) -> list[int | None]:
    """Return the number that each class name is, None for words."""
    return [
        int(name) if re.fullmatch(r"\d{1,18}", name) else None
        for name in classes
    ]


def class_numbers(path: str | os.PathLike[str], label: Any) -> list[int]:
    """Return the class numbers of a label that a user gave, -1 included.

    Raises:
        SpecError: If it is neither a number nor a tuple of numbers.
    """
    array = np.atleast_1d(np.asarray(label))
    if array.ndim > 1 or (array.size and array.dtype.kind not in "iu"):
        raise SpecError(
            f"The label of {path} must be the number of a class, or a tuple "
            f"of numbers. Received: {label!r}. `read_annotations` makes "
            "numbers of names."
        )
    return [int(number) for number in array]
