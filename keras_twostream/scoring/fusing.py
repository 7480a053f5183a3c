"""Fusion of scores in files: by weights, by a sweep, or by an SVM."""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError
from keras_twostream.registry import model_entry
from keras_twostream.scoring.metrics import (
    VideoScores,
    accuracy_report,
    as_kind,
    fuse,
    sweep,
)
from keras_twostream.scoring.score_files import load_scores
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
        SpecError: If files are of other videos, hold no labels, or options
            exclude each other.
    """
    scores = _read_all(files)
    if labels:
        scores = _with_labels(scores, labels)
    if np.min(scores.labels) < 0:
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
        fused = _by_svm(svm, scores)
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


def _by_svm(files: Sequence[str], scores: VideoScores) -> np.ndarray:
    """Fuse by an SVM on softmax scores (Simonyan & Zisserman 2014)."""
    train = _read_all(files)
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


def _with_labels(scores: VideoScores, file: str) -> VideoScores:
    """Return the scores with labels from another file of the same videos.

    Raises:
        SpecError: If the file is of other videos.
    """
    labelled = load_scores(file)
    if not _same_names(scores.names, labelled.names):
        raise SpecError(
            f"{file} has the labels of other videos, or in another order."
        )
    return dataclasses.replace(scores, labels=labelled.labels)


def _fusion_of(architecture: str) -> tuple[str, dict[str, float]]:
    """Return the method and the stream weights of an architecture's paper."""
    builder = model_entry(architecture).builder
    spec = getattr(importlib.import_module(builder.__module__), "SPEC", None)
    if spec is None:
        raise SpecError(
            f"{architecture} does not say how its paper fuses scores. Give "
            "--method and --weights instead of --paper."
        )
    weights = zip(spec.streams, spec.stream_weights, strict=True)
    return spec.score_fusion, dict(weights)


def _read_all(files: Sequence[str]) -> VideoScores:
    """Return the streams of several files as one, on the same videos.

    Raises:
        SpecError: If the files are of other videos or labels.
    """
    parts = {}
    for file in files:
        for stream, scores, rows in _read(file):
            if stream in parts:
                raise SpecError(
                    f"{file} holds scores called {stream!r}, as a file before "
                    "it does. Give each file a name of its own: NAME=FILE."
                )
            parts[stream] = (scores, rows)
    first = next(iter(parts.values()))[0]
    for name, (scores, _) in parts.items():
        if not _same_videos(first, scores):
            raise SpecError(
                "Scores to fuse must be of the same videos in the same "
                f"order. {name} has others than the first file."
            )
    labelled = [s for s, _ in parts.values() if np.min(s.labels) >= 0]
    kind = _common_kind([scores for scores, _ in parts.values()])
    return VideoScores(
        names=first.names,
        labels=(labelled or [first])[0].labels,
        scores={
            name: as_kind(rows, scores.kind, kind)
            for name, (scores, rows) in parts.items()
        },
        kind=kind,
        classes=first.classes,
    )


def _read(file: str) -> list[tuple[str, VideoScores, np.ndarray]]:
    """Return name, file's scores and array of every stream of [NAME=]FILE."""
    name, path = _name_and_path(file)
    scores = load_scores(path, name)
    streams = scores.streams
    if name and len(streams) == 1:
        return [(name, scores, rows) for rows in streams.values()]
    dot = f"{name}." if name else ""
    return [(f"{dot}{k}", scores, rows) for k, rows in streams.items()]


def _name_and_path(file: str) -> tuple[str, str]:
    name, equals, path = file.partition("=")
    if not equals or Path(file).is_file():
        return "", file
    return name, path


def _same_videos(one: VideoScores, other: VideoScores) -> bool:
    if not _same_names(one.names, other.names):
        return False
    known = min(np.min(one.labels), np.min(other.labels)) >= 0
    return not known or np.array_equal(one.labels, other.labels)


def _same_names(some: Sequence[str], others: Sequence[str]) -> bool:
    """Check if two lists name the same videos.

    Names are compared with or without their ending: rgb may be read from a
    video and flow from a folder. Files of other programs only count their
    videos.
    """
    if len(some) != len(others):
        return False
    counted = [str(number) for number in range(len(some))]
    if counted in (list(some), list(others)):
        return True
    return all(
        {Path(one).name, Path(one).stem} & {Path(two).name, Path(two).stem}
        for one, two in zip(some, others, strict=True)
    )


def _common_kind(all_scores: list[VideoScores]) -> str:
    """Return "logits" if all files hold logits, else "softmax"."""
    kinds = {scores.kind for scores in all_scores}
    return "logits" if kinds == {"logits"} else "softmax"
