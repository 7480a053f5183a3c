"""Fusion of scores in files: by weights, by a sweep, or by an SVM."""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError
from keras_twostream.registry import model_entry
from keras_twostream.scoring.alignment import (
    aligned,
    is_counted,
    merged,
    with_classes,
)
from keras_twostream.scoring.metrics import (
    VideoScores,
    accuracy_report,
    as_kind,
    fuse,
    known,
    sweep,
)
from keras_twostream.scoring.score_files import load_scores
from keras_twostream.scoring.scorer import weights_of
from keras_twostream.scoring.svm import svm_fusion
from keras_twostream.spec import FUSED


def fuse_files(
    files: Sequence[str],
    *,
    weights: Mapping[str, float] | None = None,
    method: str | None = None,
    paper: str | None = None,
    svm: Sequence[str] = (),
    labels: str | None = None,
) -> dict[str, Any]:
    """Return the accuracy of the scores in files, apart and fused.

    Videos and classes are matched by name, so that every file may have them in
    an order of its own.

    Args:
        files: "[NAME=]FILE" strings, as `load_scores` reads them. Several
            streams in one file keep their names, prefixed with NAME and a dot.
        weights: Mapping from name to weight; a sweep over weights when None.
        method: Quantity that is averaged, see `fuse`.
        paper: An architecture; the method and weights of its paper are used.
        svm: Files of training videos for a linear SVM on softmax scores
            (Simonyan & Zisserman 2014), one per file.
        labels: A file of scores that has the labels.

    Returns:
        A dict with "accuracy", a mapping from stream and "fused" to the numbers
        of `accuracy_report`, and the rows of a "sweep" where there is one.

    Raises:
        SpecError: If there is no file, files are of other videos, classes or
            labels, hold no labels, or options exclude each other.
    """
    if not files:
        raise SpecError("`files` is empty: there are no scores to fuse.")
    scores = _read_all(files)
    if labels:
        scores = _with_labels(scores, files[0], labels)
    if not known(scores.labels).any():
        raise SpecError(
            "The files hold no labels to measure with. Give --labels FILE, "
            "scores of the same videos that have them."
        )
    chosen = bool(weights or method or paper)
    if svm and chosen:
        raise SpecError(
            "--svm learns how to fuse: leave out --weights, --method and "
            "--paper."
        )
    weights = dict(weights or {})
    if paper:
        way, own = _fusion_of(paper)
        method, weights = method or way, {**own, **weights}
    report: dict[str, Any] = {
        "accuracy": {
            name: accuracy_report(values, scores.labels)
            for name, values in scores.scores.items()
        }
    }
    if svm:
        fused = _by_svm(svm, scores, files[0])
    else:
        fused = _fused(files, scores, weights, method)
        if not weights and _can_sweep(scores):
            rows = sweep(scores.scores, scores.labels, scores.kind)
            report["sweep"] = [
                row for row in rows if method in (None, row["method"])
            ]
    report["accuracy"][FUSED] = accuracy_report(fused, scores.labels)
    return report


def _fused(
    files: Sequence[str],
    scores: VideoScores,
    weights: Mapping[str, float],
    method: str | None,
) -> np.ndarray:
    """Return the network's own fusion where nothing else is asked for."""
    own = None if weights or method else _networks_own(files)
    if own is not None:
        return own
    return fuse(scores.scores, weights, scores.kind, method)


def _networks_own(files: Sequence[str]) -> np.ndarray | None:
    """Return the network's fusion of its streams, if one single file has it."""
    if len(files) != 1:
        return None
    _, path = _name_and_path(files[0])
    return load_scores(path).scores.get(FUSED)


def _can_sweep(scores: VideoScores) -> bool:
    return len(scores.scores) > 1 and np.ndim(scores.labels) == 1


def _by_svm(
    files: Sequence[str], scores: VideoScores, first: str
) -> np.ndarray:
    """Fuse by an SVM on softmax scores (Simonyan & Zisserman 2014)."""
    train = with_classes(_read_all(files), files[0], scores.classes, first)
    if np.ndim(train.labels) != 1 or np.min(train.labels) < 0:
        raise SpecError(
            "The files of --svm need one label for each video to learn from."
        )
    return svm_fusion(_shares(train), train.labels, _shares(scores))


def _shares(scores: VideoScores) -> dict[str, np.ndarray]:
    return {
        name: as_kind(rows, scores.kind, "softmax")
        for name, rows in scores.scores.items()
    }


def _with_labels(scores: VideoScores, first: str, file: str) -> VideoScores:
    """Return the scores with labels from another file of the same videos.

    Raises:
        SpecError: If the file is of other videos or classes.
    """
    labelled = load_scores(file)
    classes = scores.classes or labelled.classes
    scores = dataclasses.replace(scores, classes=classes)
    labelled = aligned(labelled, file, scores, first)
    labels = merged([labelled.labels, scores.labels])
    return dataclasses.replace(scores, labels=labels)


def _fusion_of(architecture: str) -> tuple[str, dict[str, float]]:
    """Return the method and the stream weights of an architecture's paper."""
    builder = model_entry(architecture).builder
    spec = getattr(importlib.import_module(builder.__module__), "SPEC", None)
    if spec is None:
        raise SpecError(
            f"{architecture} does not say how its paper fuses scores. Give "
            "--method and --weights instead of --paper."
        )
    return spec.score_fusion, weights_of(spec)


def _read_all(files: Sequence[str]) -> VideoScores:
    """Return the streams of several files as one, on the same videos.

    Raises:
        SpecError: If the files are of other videos, classes or labels.
    """
    parts = _in_one_order([(file, _read(file)) for file in files])
    kind = _common_kind(parts)
    streams: dict[str, np.ndarray] = {}
    for file, part in zip(files, parts, strict=True):
        for stream, rows in part.scores.items():
            if stream in streams:
                raise SpecError(
                    f"{file} holds scores called {stream!r}, as a file before "
                    "it does. Give each file a name of its own: NAME=FILE."
                )
            streams[stream] = as_kind(rows, part.kind, kind)
    if FUSED in streams and len(streams) > 1:
        raise SpecError(
            f"Scores called {FUSED!r} would be shown in place of the fusion. "
            "Give their file another name: NAME=FILE."
        )
    return VideoScores(
        names=parts[0].names,
        labels=merged([part.labels for part in parts]),
        scores=streams,
        kind=kind,
        classes=parts[0].classes,
    )


def _in_one_order(
    parts: Sequence[tuple[str, VideoScores]],
) -> list[VideoScores]:
    """Return the scores of files with the videos and classes of the first.

    A first file without names of videos or classes takes those of the next
    that has some.
    """
    (first, model), *others = parts
    classes = [scores.classes for _, scores in parts if scores.classes]
    names = [s.names for _, s in parts if not is_counted(s.names)]
    if names and len(names[0]) == len(model.names):
        model = dataclasses.replace(model, names=names[0])
    model = dataclasses.replace(model, classes=next(iter(classes), ()))
    result = [model]
    for file, scores in others:
        scores = aligned(scores, file, model, first)
        labels = merged([model.labels, scores.labels])
        model = dataclasses.replace(model, labels=labels)
        result.append(scores)
    return result


def _read(file: str) -> VideoScores:
    """Return the streams of [NAME=]FILE, under the names to fuse them by."""
    name, path = _name_and_path(file)
    scores = load_scores(path, name)
    streams = scores.streams
    dot = f"{name}." if name else ""
    alone = name and len(streams) == 1
    named = {name if alone else f"{dot}{k}": x for k, x in streams.items()}
    return dataclasses.replace(scores, scores=named)


def _name_and_path(file: str) -> tuple[str, str]:
    name, equals, path = file.partition("=")
    if not equals or Path(file).is_file():
        return "", file
    return name, path


def _common_kind(all_scores: Sequence[VideoScores]) -> str:
    """Return "logits" if all files hold logits, else "softmax"."""
    kinds = {scores.kind for scores in all_scores}
    return "logits" if kinds == {"logits"} else "softmax"
