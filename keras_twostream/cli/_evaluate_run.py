"""The work of `evaluate`."""

import dataclasses
from typing import Any

from keras_twostream import _files, inspection, training
from keras_twostream.cli._train_setup import load_anything
from keras_twostream.data import Annotations, read_annotations
from keras_twostream.data.lists.rows import header_of
from keras_twostream.errors import SpecError
from keras_twostream.scoring.engines import precision_of
from keras_twostream.scoring.heads import one_head
from keras_twostream.scoring.predicting import refuse_untrained
from keras_twostream.scoring.reporting import FILES, report_on, save_scores
from keras_twostream.training._lists import (
    refuse_contradictions,
    refuse_mixture,
)

WHICH_TO_MEASURE = (
    "Choose the one to measure with --subset, or the test part of a numbered "
    "split with --split."
)


def evaluate(flags: dict[str, Any]) -> dict[str, Any]:
    """Score a model on whole videos, and save the requested files."""
    if flags["out"] is not None:
        files = [flags["out"] / name for name in FILES]
        _files.refuse_replacing(files, [flags["data"]])
    training.set_precision(flags["precision"])
    model = load_anything(flags["model"], **flags["option"])
    refuse_untrained(model)
    head = flags["head"]
    model = one_head(model, head)
    annotations = read_annotations(
        flags["data"],
        flags["list_format"],
        split=flags["split"],
        subset=flags["subset"] or ("test" if flags["split"] else None),
        root=flags["root"],
        label=_column(flags),
    )
    refuse_mixture(annotations, flags["data"], WHICH_TO_MEASURE)
    refuse_contradictions(annotations, flags["data"])
    if head is not None:
        annotations = _labelled(annotations, flags["data"], head)
    if head is None or inspection.stated_classes(model):
        names = inspection.class_names(model)
        annotations = annotations.in_order_of(names)
        annotations.check_labels(len(names), unlabelled=annotations.several)
    evaluator = training.VideoEvaluator(
        annotations,
        **{
            name: flags[name]
            for name in (
                "num_clips",
                "crops",
                "protocol",
                "step",
                "batch_size",
                "workers",
                "cache",
                "bound",
                "engine",
            )
        },
    )
    scores = evaluator(model)
    if head is not None and annotations.classes:
        # In the model's order, or in the list's own.
        scores = dataclasses.replace(scores, classes=annotations.classes)
    weights = training.stream_weights(model)
    report = report_on(scores, weights)
    report["skipped"] = evaluator.skipped
    report["engine"] = evaluator.engine
    report["precision"] = precision_of(model)
    report["protocol"] = {
        "clips": flags["num_clips"] or "all",
        "crops": flags["crops"],
        "videos": len(scores.names),
    }
    if flags["out"] is not None:
        save_scores(scores, report, weights, flags["out"])
    return report


def _labelled(annotations: Annotations, data: str, head: str) -> Annotations:
    """Return the videos that count for a head: those that have its label.

    Raises:
        SpecError: If there are none.
    """
    items = enumerate(annotations.items)
    counted = [index for index, item in items if item.labels]
    if not counted:
        raise SpecError(f"No video of {data} has a label for {head}.")
    return annotations.take(counted)


def _column(flags: dict[str, Any]) -> str | None:
    """Return the head's column, if the list is a table that has one."""
    path, head = _files.expanded(flags["data"]), flags["head"]
    if head is None or not path.is_file():
        return None
    first = path.read_text("utf-8", "replace").lstrip().partition("\n")[0]
    return head if head.lower() in header_of(first) else None
