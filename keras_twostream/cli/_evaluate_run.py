"""What `evaluate` does."""

import dataclasses
from typing import Any

import click
import keras

from keras_twostream import inspection, training
from keras_twostream.cli._files import check_writable
from keras_twostream.cli._train_setup import (
    check_labels,
    load_anything,
    pairs,
    refuse_mixture,
    shows_several,
)
from keras_twostream.data import read_annotations
from keras_twostream.scoring.predicting import refuse_untrained
from keras_twostream.scoring.reporting import report_on, save_scores

WHICH_TO_MEASURE = (
    "Choose the one to measure with --subset, or the test part of a numbered "
    "split with --split."
)


def evaluate(flags: dict[str, Any]) -> dict[str, Any]:
    """Scores a model on whole videos, and saves what was asked for."""
    if flags["out"] is not None:
        check_writable(flags["out"])
    model = load_anything(flags["model"])
    refuse_untrained(model)
    found = read_annotations(
        flags["data"],
        flags["list_format"],
        split=flags["split"],
        subset=flags["subset"] or ("test" if flags["split"] else None),
        root=flags["root"],
    )
    refuse_mixture(found, flags["data"], WHICH_TO_MEASURE)
    if flags["head"] is None:
        found = _in_order_of(model, found)
        names = inspection.class_names(model)
        check_labels(found, names, shows_several(found))
    evaluator = training.VideoEvaluator(
        pairs(found),
        **{
            name: flags[name]
            for name in (
                "head",
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
    if flags["head"] is not None:  # the model names its first head's classes
        scores = dataclasses.replace(scores, classes=found.classes)
    weights = training.stream_weights(model)
    report = report_on(scores, weights)
    report["skipped"] = evaluator.skipped
    report["protocol"] = {
        "clips": flags["num_clips"],
        "crops": flags["crops"],
        "videos": len(scores.names),
    }
    if flags["out"] is not None:
        save_scores(scores, report, weights, flags["out"])
    return report


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
