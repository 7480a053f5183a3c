"""Actions ~ Transformations: boundaries found by EM against fixed ones.

Draws actors who sit down, stand up, pick something up or put it down, at a
moment that the renderer knows, and trains the same small network three times:
with every video cut in its middle, with the boundaries that EM finds anew
before each epoch, and with the best boundaries at every step. Prints what they
name rightly on actors who were never seen, and how far the boundaries that
they find lie from the true ones.

    python benchmarks/transformations.py --folder changes --out table.md

A stopped run continues where it was.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np

import keras_twostream as kts
from keras_twostream import actors, data, training
from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    FoldTime,
    SegmentMeans,
    TakeSteps,
    UnfoldTime,
    boundaries,
    classifier,
    stream_inputs,
)
from keras_twostream.spec import ClipSpec

STEPS = 25
SCALE = 20.0
FILTERS = (16, 32, 48, 64)
SPEC = ClipSpec(
    streams=("rgb",),
    clip_length=STEPS,
    short_side=64,
    crop=(64, 64),
    sampling="whole",
)
# Epochs between two searches for boundaries.
METHODS = {"fixed": 10**6, "EM": 1, "best at every step": 0}
FPS = 25


@kts.register_model(paper="none")
def small_transformation(num_classes: int = 4) -> keras.Model:
    """Build a siamese network with four convolutions in place of VGG-16."""
    inputs, clips = stream_inputs(SPEC, fixed_size=True)
    x = FoldTime(name="rgb_fold")(clips["rgb"])
    for number, filters in enumerate(FILTERS, 1):
        x = keras.layers.Conv2D(
            filters, 3, 2, padding="same", name=f"rgb_conv{number}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"rgb_bn{number}")(x)
        x = keras.layers.ReLU(name=f"rgb_relu{number}")(x)
    x = keras.layers.Flatten(name="rgb_flat")(x)
    x = UnfoldTime(STEPS, name="rgb_unfold")(x)
    before, after = boundaries(STEPS)
    x = SegmentMeans(before + after, name="rgb_means")(x)
    x = keras.layers.Dense(64, name="rgb_embedding")(x)
    states = [
        TakeSteps(0, len(before), name="rgb_precondition")(x),
        TakeSteps(len(before), len(before + after), name="rgb_effect")(x),
    ]
    scores = classifier(
        {"rgb": states},
        num_classes,
        fusion="logits",
        stream_weights=(1.0,),
        name="transformation",
        head=_logits,
    )
    return keras.Model(inputs, scores, name="small_transformation")


def _logits(states, classes: int, name: str):
    distances = ActionTransformations(classes, name=name)(states)
    return DistanceLogits(SCALE, True, name=f"{name}_logits")(distances)


def main() -> None:
    """Train what is not trained, measure it and print the table."""
    arguments = _arguments()
    lists = {
        split: actors.generate_changes(
            arguments.folder / "videos", count, split
        )
        for split, count in (
            ("train", arguments.train),
            ("test", arguments.test),
        )
    }
    rows = []
    for seed in range(arguments.seeds):
        for method in METHODS:
            rows.append(_row(method, seed, lists, arguments))
            print(json.dumps(rows[-1]), flush=True)
    text = table(rows)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("changes"))
    parser.add_argument("--train", type=int, default=320, help="videos")
    parser.add_argument("--test", type=int, default=160, help="videos")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a Markdown file")
    return parser.parse_args()


def _row(method: str, seed: int, lists, arguments) -> dict:
    """Return the numbers of one run, trained or read."""
    folder = arguments.folder / f"{method.replace(' ', '_')}_{seed}"
    place = folder / "measured.json"
    if not place.exists():
        model = _trained(method, seed, lists["train"], folder, arguments)
        found = measure(model, lists["test"])
        row = {"method": method, "seed": seed, **found}
        place.write_text(json.dumps(row))
    return json.loads(place.read_text())


def _trained(method, seed, listed: Path, folder: Path, arguments):
    keras.utils.set_random_seed(seed)
    model = small_transformation(len(actors.CHANGES))
    recipe = training.Recipe(
        "changes",
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        clip_norm=5.0,
        epochs=arguments.epochs,
        batch_size=16,
        boundaries_every=METHODS[method],
        input={"sampler": "whole", "mirror": True},
    )
    training.train(
        model,
        data.read_annotations(listed),
        recipe,
        folder,
        settings=training.RunSettings(
            seed=seed, keep="last", cache="memory", workers=1
        ),
    )
    return model


def measure(model: keras.Model, listed: Path) -> dict:
    """Return accuracies, and the boundaries' mean distances in frames.

    A network answers with the class and the boundaries that lie closest; "in
    the middle" it may only look at the middle, as fixed boundaries do.
    """
    found = data.read_annotations(listed)
    truth = json.loads(listed.read_text())["items"]
    items = [(path, number) for number, path in enumerate(found.paths)]
    batches = data.video_dataset(
        items, SPEC, 16, training=False, num_classes=None, workers=1
    )
    middle = training.BoundaryTable(items, STEPS).pairs[0]
    right, right_in_middle, errors, apart = [], [], [], []
    for clips, numbers in batches:
        logits = np.asarray(model.predict_on_batch(clips))
        for number, scores in zip(np.asarray(numbers), logits, strict=True):
            label, item = found.labels[number], truth[number]
            best = np.unravel_index(scores.argmax(), scores.shape)
            right.append(best[-1] == label)
            right_in_middle.append(scores[tuple(middle)].argmax() == label)
            own = scores[..., label]
            pair = np.unravel_index(own.argmax(), own.shape)
            errors.append(_errors(pair, item))
            apart.append(_errors(middle, item))
    return {
        "accuracy": float(np.mean(right)),
        "accuracy_in_middle": float(np.mean(right_in_middle)),
        "error": np.mean(errors, axis=0).tolist(),
        "error_of_middle": np.mean(apart, axis=0).tolist(),
        "videos": len(right),
    }


def _errors(pair, item: dict) -> tuple[float, float]:
    """Return the distances of start and end from the true ones, in frames."""
    before, after = boundaries(STEPS)
    share = item["frames"] / STEPS
    start, end = before[pair[0]][1] * share, after[pair[1]][0] * share
    return abs(start - item["change"][0]), abs(end - item["change"][1])


def table(rows: list[dict]) -> str:
    """Return the rows as Markdown, means over the seeds."""
    lines = [
        "| boundaries in training | accuracy | in the middle | start | end |",
        "|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        start, end = np.mean([row["error"] for row in own], axis=0) / FPS
        accuracy, middle = (
            np.mean([row[name] for row in own])
            for name in ("accuracy", "accuracy_in_middle")
        )
        lines.append(
            f"| {method} | {accuracy:.3f} | {middle:.3f} | {start:.3f} "
            f"| {end:.3f} |"
        )
    start, end = np.array(rows[0]["error_of_middle"]) / FPS
    lines.append(f"| the middle itself | | | {start:.3f} | {end:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
