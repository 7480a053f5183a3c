"""What `fuse` does."""

import dataclasses
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from keras_twostream import training
from keras_twostream.errors import SpecError
from keras_twostream.registry import model_entry
from keras_twostream.training import VideoScores


def fuse_files(flags: dict[str, Any]) -> dict[str, Any]:
    """Fuses score files with given weights, a sweep, or an SVM."""
    scores = _read_all(flags["files"])
    if flags["labels"]:
        scores = _with_labels(scores, flags["labels"])
    if np.min(scores.labels) < 0:
        raise SpecError(
            "The files hold no labels to measure with. Give --labels FILE, "
            "scores of the same videos that have them."
        )
    kind, method = scores.kind, flags["method"]
    weights = _weights(flags["weights"])
    if flags["paper"]:
        paper = _fusion_of(flags["paper"])
        method, weights = method or paper[0], {**paper[1], **weights}
    report = {
        "accuracy": {
            name: training.accuracy_report(each, scores.labels)
            for name, each in scores.scores.items()
        }
    }
    if flags["svm"]:
        fused = _by_svm(flags, scores)
    else:
        fused = None if weights or method else _networks_own(flags["files"])
        if fused is None:
            fused = training.fuse(scores.scores, weights, kind, method)
        if not weights and _can_sweep(scores):
            rows = training.sweep(scores.scores, scores.labels, kind)
            report["sweep"] = [
                row for row in rows if method in (None, row["method"])
            ]
    report["accuracy"]["fused"] = training.accuracy_report(fused, scores.labels)
    return report


def _networks_own(files: Sequence[str]) -> np.ndarray | None:
    """What the network made of its streams, in a single file that has it."""
    if len(files) != 1:
        return None
    _, path = _name_and_path(files[0])
    return training.load_scores(path).scores.get("fused")


def _can_sweep(scores: VideoScores) -> bool:
    return len(scores.scores) > 1 and np.ndim(scores.labels) == 1


def _by_svm(flags: dict[str, Any], scores: VideoScores) -> np.ndarray:
    """As Simonyan & Zisserman (2014): an SVM on softmax scores."""
    if flags["weights"] or flags["method"] or flags["paper"]:
        raise click.UsageError(
            "--svm learns how to fuse: leave out --weights, --method and "
            "--paper."
        )
    train = _read_all(flags["svm"])
    if np.ndim(train.labels) != 1 or np.min(train.labels) < 0:
        raise SpecError(
            "The files of --svm need one label for each video to learn from."
        )
    return training.svm_fusion(_shares(train), train.labels, _shares(scores))


def _shares(scores: VideoScores) -> dict[str, np.ndarray]:
    return {
        name: training.as_kind(each, scores.kind, "softmax")
        for name, each in scores.scores.items()
    }


def _with_labels(scores: VideoScores, file: str) -> VideoScores:
    """The scores with the labels of another file of the same videos.

    Raises:
        SpecError: If it is of other videos.
    """
    labelled = training.load_scores(file)
    if not _same_names(scores.names, labelled.names):
        raise SpecError(
            f"{file} has the labels of other videos, or in another order."
        )
    return dataclasses.replace(scores, labels=labelled.labels)


def _weights(pairs: Iterable[str]) -> dict[str, float]:
    """From NAME=NUMBER; names as they are, for files are named freely."""
    found = {}
    for pair in pairs:
        name, _, text = pair.rpartition("=")
        try:
            found[name] = float(text)
        except ValueError:
            name = ""
        if not name:
            raise click.UsageError(
                f"--weights takes NAME=NUMBER. Received: {pair!r}"
            )
    return found


def _fusion_of(architecture: str) -> tuple[str, dict[str, float]]:
    """How its paper fuses scores: method, and weights of the streams."""
    builder = model_entry(architecture).builder
    spec = getattr(importlib.import_module(builder.__module__), "SPEC", None)
    if spec is None:
        raise SpecError(
            f"{architecture} does not say how its paper fuses scores. Give "
            "--method and --weights instead of --paper."
        )
    weights = zip(spec.streams, spec.stream_weights, strict=True)
    return spec.score_fusion, dict(weights)


def _read_all(files: tuple[str, ...]) -> VideoScores:
    """The streams of several files as one, on the same videos.

    Raises:
        SpecError: If the files are of other videos or labels.
    """
    parts = {}
    for file in files:
        for stream, scores, each in _read(file):
            if stream in parts:
                raise SpecError(
                    f"{file} holds scores called {stream!r}, as a file before "
                    "it does. Give each file a name of its own: NAME=FILE."
                )
            parts[stream] = (scores, each)
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
            name: training.as_kind(each, scores.kind, kind)
            for name, (scores, each) in parts.items()
        },
        kind=kind,
        classes=first.classes,
    )


def _read(file: str) -> list[tuple[str, VideoScores, np.ndarray]]:
    """Name, file and scores of every stream of [NAME=]FILE."""
    name, path = _name_and_path(file)
    scores = training.load_scores(path, name)
    streams = scores.streams
    if name and len(streams) == 1:
        return [(name, scores, each) for each in streams.values()]
    dot = f"{name}." if name else ""
    return [(f"{dot}{k}", scores, each) for k, each in streams.items()]


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
    """By file name, with or without its ending: rgb may be read from a video
    and flow from a folder. Foreign files only count their videos."""
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
    """Logits where all files hold them, else probabilities."""
    kinds = {scores.kind for scores in all_scores}
    return "logits" if kinds == {"logits"} else "softmax"
