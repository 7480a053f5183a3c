"""Scores that other programs wrote: TSN's .npz, mmaction2's .pkl.

A pickle can run any program when it is read. `read_pickle` therefore reads
these files, and the object arrays of a TSN file, and accepts only plain data.
"""

import dataclasses
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream._arrays import check_unpacked, whole
from keras_twostream._files import expanded
from keras_twostream.errors import SpecError
from keras_twostream.pretrained import read_pickle
from keras_twostream.scoring.metrics import KINDS, VideoScores, are_shares


def load_scores(path: str | os.PathLike, stream: str = "") -> VideoScores:
    """Read scores from a file of this library, of TSN or of mmaction2.

    Args:
        path: This library's .npz, TSN's .npz (`scores`, `labels`) or
            mmaction2's .pkl.
        stream: Name for the scores of the latter two; the file's name when
            empty.

    Returns:
        The scores.

    Raises:
        SpecError: If the file is none of them, or asks to run something.
    """
    path = expanded(path)
    stream = stream or path.stem
    if not path.is_file():
        raise SpecError(f"There is no file of scores {path}.")
    with whole(path, SpecError, "Write it again, or copy it again."):
        if path.suffix in (".pkl", ".pickle"):
            values = _unpickle(path.read_bytes(), path)
            return _checked(_from_mmaction(values, stream, path), path)
        if zipfile.is_zipfile(path):
            check_unpacked(path, SpecError)
            return _checked(_from_npz(path, stream), path)
    raise SpecError(
        f"{path} is not a file of scores. Give an .npz of keras-twostream or "
        "TSN, or a .pkl of mmaction2."
    )


def _from_npz(path: Path, stream: str) -> VideoScores:
    with zipfile.ZipFile(path) as archive:
        arrays = {
            name.removesuffix(".npy"): _array(archive.read(name), path)
            for name in archive.namelist()
        }
    if "kind" in arrays:
        return _from_ours(arrays)
    if {"scores", "labels"} <= set(arrays):
        return _from_tsn(arrays, stream)
    raise SpecError(
        f"{path} holds {', '.join(sorted(arrays))}, not scores of "
        "keras-twostream (scores/<stream>) or TSN (scores, labels)."
    )


def _from_ours(arrays: Mapping[str, np.ndarray]) -> VideoScores:
    return VideoScores(
        names=arrays["names"].tolist(),
        labels=arrays["labels"],
        scores={
            name.partition("/")[2]: array
            for name, array in arrays.items()
            if name.startswith("scores/")
        },
        kind=str(arrays["kind"]),
        classes=arrays["classes"].tolist() if "classes" in arrays else [],
    )


def _checked(scores: VideoScores, path: Path) -> VideoScores:
    """Return scores of one shape, with class numbers for labels.

    Raises:
        SpecError: If scores, labels and names are not of the same videos and
            classes.
    """
    if scores.kind not in KINDS:
        raise SpecError(
            f"The scores in {path} must be of the kind {' or '.join(KINDS)}. "
            f"Received: {scores.kind!r}"
        )
    if not len(scores.names) or not scores.scores:
        raise SpecError(f"{path} holds no scores of videos. Write it again.")
    arrays = {f"scores/{name}": x for name, x in scores.scores.items()}
    for name, array in {"labels": scores.labels, **arrays}.items():
        _check_rows(name, array, len(scores.names), path)
    shapes = {array.shape for array in arrays.values()}
    width = len(scores.classes) or min(shape[-1] for shape in shapes)
    if shapes != {(len(scores.names), width)} or not width:
        raise SpecError(
            f"The scores in {path} must be of the shape (videos, classes), "
            f"and all of {width or 'some'} classes. Received: "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    _check_labels(scores.labels, width, path)
    return dataclasses.replace(scores, labels=scores.labels.astype(int))


def _check_rows(name: str, array: np.ndarray, videos: int, path: Path) -> None:
    if not array.ndim or len(array) != videos:
        raise SpecError(
            f"{path} names {videos} videos, and `{name}` is of the shape "
            f"{array.shape}. Write it again."
        )
    if array.dtype.kind not in "iuf":
        raise SpecError(f"`{name}` in {path} holds no numbers.")


def _check_labels(labels: np.ndarray, width: int, path: Path) -> None:
    several = labels.ndim == 2
    whole_numbers = np.array_equal(labels, np.floor(labels))
    if labels.shape[1:] != (width,) * several or not whole_numbers:
        raise SpecError(
            f"The labels in {path} must be the number of a class for every "
            f"video, or {width} times 0 or 1. They are {labels.dtype} of the "
            f"shape {labels.shape}. Write it again."
        )


def _from_tsn(arrays: Mapping[str, Any], stream: str) -> VideoScores:
    """Convert the arrays of a TSN file to scores.

    TSN saves one (views, 1, classes) array per video, or pairs of such an
    array and the label.
    """
    rows = []
    for row in arrays["scores"]:
        while _is_wrapped(row):
            row = row[0]
        row = np.asarray(row, "float32")
        rows.append(row.reshape(-1, row.shape[-1]).mean(axis=0))
    labels = np.array(arrays["labels"].tolist()).ravel()
    if len(labels) != len(rows):
        raise SpecError(
            f"The file has scores of {len(rows)} videos and {len(labels)} "
            "labels."
        )
    scores = np.stack(rows)
    return _of(scores, labels, stream, _kind(scores))


def _is_wrapped(row: Any) -> bool:
    kind = getattr(getattr(row, "dtype", None), "kind", "")
    return kind == "O" or isinstance(row, list | tuple)


def _from_mmaction(values: Any, stream: str, path: Path) -> VideoScores:
    """Convert arrays, or dicts with `pred_score` and `gt_label`, to scores."""
    if not isinstance(values, list) or not values:
        raise SpecError(f"{path} holds no list of scores.")
    if not isinstance(values[0], dict):
        scores = np.stack([np.ravel(row) for row in values])
        return _of(scores, np.full(len(scores), -1), stream, _kind(scores))
    rows = [_entry(row, "pred_score", None) for row in values]
    if any(row is None for row in rows):
        raise SpecError(f"{path} has a video without pred_score.")
    scores = np.stack([np.ravel(row) for row in rows])
    labels = [np.ravel(_entry(row, "gt_label", -1)) for row in values]
    numbers = _numbers_or_rows(labels, scores.shape[1], path)
    return _of(scores, numbers, stream, _kind(scores))


def _numbers_or_rows(
    labels: Sequence[np.ndarray], classes: int, path: Path
) -> np.ndarray:
    """Return (videos,) class numbers, or (videos, classes) of 0 and 1.

    A label is a number, a row of 0 and 1, or the numbers of several classes.
    """
    rows = {label.size for label in labels} == {classes} != {1}
    if rows and np.isin(labels, (0, 1)).all():
        return np.stack(labels).astype(int)
    if all(label.size == 1 for label in labels):
        return np.array([int(label[0]) for label in labels])
    shown = np.zeros((len(labels), classes), int)
    for row, label in zip(shown, labels, strict=True):
        numbers = label.astype(int)
        if (numbers >= classes).any() or (numbers < -1).any():
            raise SpecError(
                f"{path} has the label {label.tolist()} of a video, and scores "
                f"of {classes} classes, 0 to {classes - 1}."
            )
        row[numbers[numbers >= 0]] = 1
    return shown


def _entry(row: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return an entry under the name that any mmaction2 version gives it."""
    value = row.get(f"{name}s", row.get(name, default))
    return value["item"] if isinstance(value, dict) else value


def _kind(scores: np.ndarray) -> str:
    """Return the kind of scores; both programs write either."""
    return "softmax" if are_shares(scores) else "logits"


def _of(scores, labels, stream: str, kind: str) -> VideoScores:
    if scores.dtype.kind not in "iuf":  # bfloat16
        scores = scores.astype("float32")
    names = [str(number) for number in range(len(scores))]
    return VideoScores(names, labels, {stream: scores}, kind)


def _array(data: bytes, path: Path) -> np.ndarray:
    """Read one array of an npz; object arrays by the plain unpickler."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise SpecError(f"{path} holds an array of an unknown version.")
    _, _, dtype = readers[version](file)
    if not dtype.hasobject:
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    return _unpickle(file.read(), path)


def _unpickle(data: bytes, path: Path) -> Any:
    try:
        return read_pickle(data)
    except SpecError as error:
        raise SpecError(f"{path} cannot be read. {error}") from error
