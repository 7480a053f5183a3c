"""What `evaluate` and `fuse` do."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np

from keras_twostream import inspection, training
from keras_twostream.cli._train_setup import (
    check_labels,
    load_anything,
    pairs,
    shows_several,
)
from keras_twostream.data import read_annotations
from keras_twostream.errors import SpecError
from keras_twostream.prediction import refuse_untrained
from keras_twostream.registry import model_entry
from keras_twostream.training import VideoScores


def evaluate(flags: dict[str, Any]) -> dict[str, Any]:
    """Scores a model on whole videos, and saves what was asked for."""
    model = load_anything(flags["model"])
    refuse_untrained(model)
    found = read_annotations(
        flags["data"],
        flags["list_format"],
        split=flags["split"],
        subset=flags["subset"] or ("test" if flags["split"] else None),
        root=flags["root"],
    )
    found = _in_order_of(model, found)
    check_labels(found, inspection.class_names(model), shows_several(found))
    evaluator = training.VideoEvaluator(
        pairs(found),
        **{
            name: flags[name]
            for name in (
                "num_clips",
                "crops",
                "protocol",
                "batch_size",
                "workers",
                "cache",
                "bound",
            )
        },
    )
    scores = evaluator(model)
    report = report_on(scores, training.stream_weights(model))
    report["skipped"] = evaluator.skipped
    report["protocol"] = {
        "clips": flags["num_clips"],
        "crops": flags["crops"],
        "videos": len(scores.names),
    }
    if flags["out"] is not None:
        save_scores(scores, report, flags["out"])
    return report


def fuse_files(flags: dict[str, Any]) -> dict[str, Any]:
    """Fuses score files with given weights, a sweep, or an SVM."""
    scores = _read_all(flags["files"])
    if flags["labels"]:
        labels = training.load_scores(flags["labels"]).labels
        scores = dataclasses.replace(scores, labels=labels)
    if np.min(scores.labels) < 0:
        raise SpecError(
            "The files hold no labels to measure with. Give --labels FILE, "
            "scores of the same videos that have them."
        )
    kind, method, weights = scores.kind, flags["method"], flags["weights"]
    if flags["paper"]:
        paper = _fusion_of(flags["paper"])
        method, weights = method or paper[0], {**paper[1], **weights}
    report = {
        "accuracy": {
            name: training.accuracy_report(each, scores.labels)
            for name, each in scores.scores.items()
        }
    }
    fused = None
    if flags["svm"]:
        train = _read_all(flags["svm"])
        fused = training.svm_fusion(train.scores, train.labels, scores.scores)
    elif weights or len(scores.scores) == 1:
        fused = training.fuse(scores.scores, weights, kind, method)
    if fused is None and np.ndim(scores.labels) == 1:
        rows = training.sweep(scores.scores, scores.labels, kind)
        report["sweep"] = [
            row for row in rows if method in (None, row["method"])
        ]
    if fused is None:
        fused = training.fuse(scores.scores, None, kind, method)
    report["accuracy"]["fused"] = training.accuracy_report(fused, scores.labels)
    return report


def _fusion_of(architecture: str) -> tuple[str, dict[str, float]]:
    """How its paper fuses scores: method, and weights of the streams."""
    builder = model_entry(architecture).builder
    spec = importlib.import_module(builder.__module__).SPEC
    weights = zip(spec.streams, spec.stream_weights, strict=True)
    return spec.score_fusion, dict(weights)


def _read_all(files: tuple[str, ...]) -> VideoScores:
    """The streams of several files as one, on the same videos.

    Raises:
        SpecError: If the files are of other videos or labels.
    """
    parts = {}
    for file in files:
        name, equals, path = file.partition("=")
        scores = training.load_scores(path if equals else file, name)
        streams = scores.streams
        if equals and len(streams) == 1:
            streams = {name: next(iter(streams.values()))}
        for stream, each in streams.items():
            parts[stream] = (scores, each)
    first = next(iter(parts.values()))[0]
    for name, (scores, _) in parts.items():
        if not _same_videos(first, scores):
            raise SpecError(
                "Scores to fuse must be of the same videos in the same "
                f"order. {name} has others than the first file."
            )
    labelled = [s for s, _ in parts.values() if np.min(s.labels) >= 0]
    return VideoScores(
        names=first.names,
        labels=(labelled or [first])[0].labels,
        scores={name: each for name, (_, each) in parts.items()},
        kind=_common_kind([scores for scores, _ in parts.values()]),
        classes=first.classes,
    )


def _same_videos(one: VideoScores, other: VideoScores) -> bool:
    if len(one.names) != len(other.names):
        return False
    known = min(np.min(one.labels), np.min(other.labels)) >= 0
    return not known or np.array_equal(one.labels, other.labels)


def _common_kind(all_scores: list[VideoScores]) -> str:
    kinds = {scores.kind for scores in all_scores}
    if len(kinds) > 1:
        raise SpecError(
            "Some files hold logits and others probabilities. Fuse files of "
            f"one kind. Received: {', '.join(sorted(kinds))}"
        )
    return kinds.pop()


def report_on(scores: VideoScores, weights: dict[str, float]) -> dict[str, Any]:
    """Accuracies, by class too, and a sweep over fusion weights."""
    fused = "fused" in scores.scores
    report: dict[str, Any] = {
        "accuracy": scores.report(None if fused else weights)
    }
    if np.ndim(scores.labels) == 2:
        return report
    report["classes"] = _per_class(scores)
    if len(scores.streams) > 1:
        report["sweep"] = training.sweep(
            scores.streams, scores.labels, scores.kind
        )
    return report


def _per_class(scores: VideoScores) -> dict[str, float]:
    matrix = training.confusion_matrix(_best(scores), scores.labels)
    names = scores.classes or [str(i) for i in range(len(matrix))]
    return {
        name: float(row[i] / row.sum())
        for i, (name, row) in enumerate(zip(names, matrix, strict=True))
        if row.sum()
    }


def _best(scores: VideoScores) -> np.ndarray:
    if "fused" in scores.scores:
        return scores.scores["fused"]
    return training.fuse(scores.streams, None, scores.kind)


def save_scores(scores: VideoScores, report: dict[str, Any], out: Path) -> None:
    """Writes scores.npz, metrics.json and confusion.png."""
    scores.save(out / "scores.npz")
    training.write_json(out / "metrics.json", report)
    if np.ndim(scores.labels) == 1:
        training.plot_confusion(
            training.confusion_matrix(_best(scores), scores.labels),
            scores.classes,
            out / "confusion.png",
        )


def _in_order_of(model: keras.Model, found):
    """The list with labels as the model counts its classes.

    Raises:
        click.UsageError: If the list has classes that the model lacks.
    """
    names = inspection.class_names(model)
    if not found.classes or list(found.classes) == names:
        return found
    missing = sorted(set(found.classes) - set(names))
    if missing:
        raise click.UsageError(
            f"The model does not know the classes {', '.join(missing)}. It "
            f"knows {', '.join(names)}."
        )
    place = {name: number for number, name in enumerate(names)}
    items = tuple(
        dataclasses.replace(
            item, labels=tuple(place[found.classes[x]] for x in item.labels)
        )
        for item in found.items
    )
    return dataclasses.replace(found, items=items, classes=tuple(names))
