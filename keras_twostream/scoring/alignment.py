"""Scores of two files, brought to the same videos and classes."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from keras_twostream.data.cache.packed_file import PACKED_SUFFIX
from keras_twostream.data.lists.files import VIDEO_SUFFIXES
from keras_twostream.data.lists.labels import check_labels
from keras_twostream.data.source import Part
from keras_twostream.errors import SpecError
from keras_twostream.scoring.metrics import VideoScores, known

_ENDINGS = {*VIDEO_SUFFIXES, PACKED_SUFFIX}
_Name = tuple[tuple[str, ...], Part]


def aligned(
    scores: VideoScores, file: str, model: VideoScores, other: str
) -> VideoScores:
    """Return scores with the videos and classes in the order of others.

    Classes are compared where both sides name them, videos by name, and labels
    where both are known.

    Args:
        scores: The scores.
        file: Their file, for errors.
        model: The scores that give the order.
        other: The file of those.

    Raises:
        SpecError: If the two are of other videos, classes or labels.
    """
    scores = with_classes(scores, file, model.classes, other)
    rows = _places(model.names, scores.names)
    if rows is None:
        raise SpecError(
            f"{file} and {other} must be of the same videos. "
            f"{_difference(model.names, scores.names, other, file)} Score one "
            "list of videos with both models."
        )
    scores = dataclasses.replace(
        scores,
        names=[scores.names[row] for row in rows],
        labels=np.asarray(scores.labels)[rows],
        scores={k: np.asarray(v)[rows] for k, v in scores.scores.items()},
    )
    _check_labels(scores, file, model, other)
    return scores


# === Classes ===


def with_classes(
    scores: VideoScores, file: str, classes: Sequence[str], other: str
) -> VideoScores:
    """Return scores with their columns and labels in the order of `classes`.

    Scores or classes without names stay as they are.

    Args:
        scores: The scores.
        file: Their file, for errors.
        classes: Names of the classes.
        other: The file that names them.

    Raises:
        SpecError: If the two name other classes, or a label is none of them.
    """
    own, classes = list(scores.classes), list(classes)
    if not own or not classes or own == classes:
        return scores
    if sorted(own) != sorted(classes) or len(set(own)) != len(own):
        lacking = sorted(set(classes) ^ set(own)) or own
        raise SpecError(
            f"{file} and {other} must be of the same classes. One of the two "
            f"lacks {', '.join(lacking[:5])}"
            f"{', ...' if len(lacking) > 5 else ''}."
        )
    if np.ndim(scores.labels) == 1:
        labels = [[int(label)] for label in scores.labels]
        check_labels(scores.names, labels, len(own))
    order = [own.index(name) for name in classes]
    return dataclasses.replace(
        scores,
        labels=_relabelled(np.asarray(scores.labels), order),
        scores={k: np.asarray(v)[:, order] for k, v in scores.scores.items()},
        classes=classes,
    )


def _relabelled(labels: np.ndarray, order: Sequence[int]) -> np.ndarray:
    if labels.ndim == 2:
        return labels[:, order]
    return np.where(labels < 0, labels, np.argsort(order)[labels])


# === Videos ===


def is_counted(names: Sequence[str]) -> bool:
    """Check if videos are only counted, as in files of other programs."""
    return list(names) == [str(number) for number in range(len(names))]


def _places(names: Sequence[str], others: Sequence[str]) -> list[int] | None:
    """Return the place in `others` of every name, None if the names differ.

    Names are compared without the folder that all of a file share, without
    the ending of a video, and over as many folders as both sides have: rgb may
    be read from a video and flow from a folder. Files of other programs only
    count their videos.
    """
    if len(names) != len(others):
        return None
    if is_counted(names) or is_counted(others):
        return list(range(len(names)))
    ones, twos = _inner(names), _inner(others)
    if all(map(_same, ones, twos)):
        return list(range(len(names)))
    depth = min(len(parts) for parts, _ in (*ones, *twos))
    keys = [_key(name, depth) for name in ones]
    places = {_key(name, depth): place for place, name in enumerate(twos)}
    if set(keys) != set(places) or len(places) != len(keys):
        return None
    return [places[key] for key in keys]


def _inner(names: Sequence[str]) -> list[_Name]:
    """Return each path below the folder that all share, and its interval."""
    parts = [Part.of(str(name)) for name in names]
    paths = [
        tuple(x for x in re.split(r"[/\\]+", part.path) if x != ".")
        for part in parts
    ]
    depth = min(len(path) for path in paths) - 1
    while depth and len({path[:depth] for path in paths}) > 1:
        depth -= 1
    return [
        (path[depth:], part) for path, part in zip(paths, parts, strict=True)
    ]


def _same(one: _Name, other: _Name) -> bool:
    depth = min(len(one[0]), len(other[0]))
    return _key(one, depth) == _key(other, depth)


def _key(name: _Name, depth: int) -> tuple[tuple[str, ...], ...]:
    *folders, last = name[0][-depth:]
    while PurePosixPath(last).suffix.lower() in _ENDINGS:
        last = PurePosixPath(last).stem
    return (*folders, last), (str(name[1].start), str(name[1].end))


def _difference(
    names: Sequence[str], others: Sequence[str], first: str, second: str
) -> str:
    """Return a sentence about the first video in which two files differ."""
    if len(names) != len(others):
        return f"{first} has {len(names)}, and {second} {len(others)}."
    pairs = zip(names, others, _inner(names), _inner(others), strict=True)
    for name, other, one, two in pairs:
        if not _same(one, two):
            return f"{first} has {name} where {second} has {other}."
    return ""


# === Labels ===


def merged(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Return the labels of several files, the known ones of each.

    Args:
        labels: (videos,) or (videos, classes) of each file; files that do not
            contradict each other.
    """
    labels = [np.asarray(own) for own in labels]
    first = next((own for own in labels if known(own).any()), labels[0])
    result = first.copy()
    for own in labels:
        if own.shape == first.shape:
            fresh = known(own) & ~known(result)
            result[fresh] = own[fresh]
    return result


def _check_labels(
    scores: VideoScores, file: str, model: VideoScores, other: str
) -> None:
    both = known(scores.labels) & known(model.labels)
    for place in np.flatnonzero(both).tolist():
        one, two = _shown(model, place), _shown(scores, place)
        if one != two:
            raise SpecError(
                f"{file} and {other} must have the same labels. "
                f"{model.names[place]} has {two} in {file}, and {one} in "
                f"{other}: the classes are in another order, or the videos."
            )


def _shown(scores: VideoScores, place: int) -> list[int]:
    label = np.asarray(scores.labels)[place]
    return np.flatnonzero(label).tolist() if label.ndim else [int(label)]
