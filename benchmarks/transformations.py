"""Actions ~ Transformations: boundaries found by EM against fixed ones.

Draws actors who sit down, stand up, pick something up or put it down, at a
moment that the renderer knows. The features of single frames, from the network
that ships, go through the paper's layers: means of precondition and effect,
an embedding, a transformation for each action, cosine distances. These train
three times: with every video cut in its middle, with the boundaries that EM
finds anew before each epoch, and with the best boundaries at every step. Prints
what they name rightly on actors who were never seen, how far the boundaries
that they find lie from the true ones, and how the distance of the true class
grows as a boundary moves away from the true one.

    python benchmarks/transformations.py --folder changes --out table.md

A stopped run continues where it was: features and results are kept.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
import tensorflow as tf

import keras_twostream as kts
from keras_twostream import actors, data
from keras_twostream.layers import (
    ActionTransformations,
    DistanceLogits,
    SegmentMeans,
    TakeSteps,
    boundaries,
)
from keras_twostream.training import BoundaryTable, ContrastiveCosine

STEPS, FPS = 25, 25
SCALE = 20.0
TAP, CELL = "rgb.res4", 2  # features, and how many of them make a cell
BATCH = 16
# Epochs between two searches for boundaries; 0 takes the best at every step.
METHODS = {"fixed": None, "EM": 1, "best at every step": 0}


def small_transformation(shape: tuple[int, ...]) -> keras.Model:
    """Build the network from features of frames to logits of boundaries."""
    frames = keras.Input(shape)
    x = keras.layers.LayerNormalization()(frames)
    before, after = boundaries(STEPS)
    x = SegmentMeans(before + after)(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(64)(x)
    states = [
        TakeSteps(0, len(before))(x),
        TakeSteps(len(before), len(before + after))(x),
    ]
    distances = ActionTransformations(len(actors.CHANGES))(states)
    return keras.Model(frames, DistanceLogits(SCALE, True)(distances))


def features(listed: Path) -> np.ndarray:
    """Return (videos, 25, D) features of the frames of a list's videos."""
    place = listed.with_suffix(".npy")
    if place.exists():
        return np.load(place)
    clip = {"crop": (88, 88), "clip_length": 1}
    network = kts.load(
        "spatiotemporal_resnet.actors", streams=("rgb",), clip_spec=clip
    )
    tap = kts.taps(network, [TAP])
    spec = kts.clip_spec(network).replace(clip_length=STEPS, sampling="whole")
    found = data.read_annotations(listed)
    items = [(path, number) for number, path in enumerate(found.paths)]
    rows = [
        _pooled(tap, clips["rgb"])
        for clips, _ in data.video_dataset(
            items, spec, 4, training=False, num_classes=None, workers=1
        )
    ]
    np.save(place, np.concatenate(rows))
    return np.load(place)


def _pooled(tap: keras.Model, clips) -> np.ndarray:
    """Return (B, 25, D) means over cells of the features of each frame."""
    frames = np.asarray(clips)
    folded = frames.reshape(-1, 1, *frames.shape[2:])
    maps = np.asarray(tap.predict_on_batch({"rgb": folded})[TAP])[:, 0]
    rows, columns = (size // CELL for size in maps.shape[1:3])
    maps = maps[:, : rows * CELL, : columns * CELL]
    cells = maps.reshape(len(maps), rows, CELL, columns, CELL, -1)
    return cells.mean((2, 4)).reshape(len(frames), STEPS, -1)


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
    text = table(rows, lists["test"]) + profile_table(rows)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("changes"))
    parser.add_argument("--train", type=int, default=320, help="videos")
    parser.add_argument("--test", type=int, default=160, help="videos")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a Markdown file")
    return parser.parse_args()


def _row(method: str, seed: int, lists, arguments) -> dict:
    """Return the numbers of one run, trained or read."""
    name = f"{method.replace(' ', '_')}_{seed}.json"
    place = arguments.folder / name
    if not place.exists():
        model = _trained(method, seed, lists["train"], arguments.epochs)
        found = measure(model, lists["test"])
        row = {"method": method, "seed": seed, **found}
        place.write_text(json.dumps(row))
    return json.loads(place.read_text())


def _trained(method: str, seed: int, listed: Path, epochs: int):
    """Return the trained network: M steps of an epoch, E steps between."""
    keras.utils.set_random_seed(seed)
    values, table = features(listed), _table(listed)
    model = small_transformation(values.shape[1:])
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                1e-3, epochs * -(-len(values) // BATCH)
            ),
            weight_decay=0.02,
        ),
        ContrastiveCosine(SCALE),
    )
    numbered = tf.data.Dataset.from_tensor_slices(
        (values, np.arange(len(values)))
    )
    every = METHODS[method]
    for epoch in range(epochs):
        if every and epoch and epoch % every == 0:
            table.search(model, numbered.batch(BATCH))
        batches = numbered.shuffle(len(values), seed + epoch).batch(BATCH)
        if every == 0:
            batches = table.targets(batches).map(lambda x, y: (x, y[:, 0]))
        else:
            batches = table.targets(batches)
        model.fit(batches, verbose=0)
    return model


def _table(listed: Path) -> BoundaryTable:
    found = data.read_annotations(listed)
    return BoundaryTable(found.pairs(), STEPS)


def measure(model: keras.Model, listed: Path) -> dict:
    """Return accuracies, and the boundaries' mean distances in frames.

    A network answers with the class and the boundaries that lie closest; "in
    the middle" it may only look at the middle, as fixed boundaries do. The
    boundaries are those of the true class.
    """
    table, truth = _table(listed), json.loads(listed.read_text())["items"]
    p, e = table.pairs[0]
    logits = model.predict(features(listed), batch_size=BATCH, verbose=0)
    videos, labels = np.arange(len(logits)), table.labels
    in_middle = logits[:, p, e].argmax(-1)
    own = logits[videos, :, :, labels].reshape(len(logits), -1)
    pairs = np.unravel_index(own.argmax(-1), logits.shape[1:3])
    errors = [
        _errors(pair, item)
        for pair, item in zip(np.stack(pairs, axis=1), truth, strict=True)
    ]
    distances = own.reshape(logits.shape[:3]) / -SCALE
    return {
        "profile": _profile(distances, truth),
        "accuracy": float(np.mean(logits.max((1, 2)).argmax(-1) == labels)),
        "accuracy_in_middle": float(np.mean(in_middle == labels)),
        "error": np.mean(errors, axis=0).tolist(),
        "videos": len(labels),
    }


def _profile(distances: np.ndarray, truth: list[dict]) -> dict:
    """Return the mean rise of the true class's distance, by steps of T.

    Args:
        distances: (videos, P, E) of the true class.
        truth: Items of the list.

    Returns:
        For "start" and "end", pairs of the steps that a boundary lies behind
        the true one and the mean rise above the best boundary's distance.
    """
    before, after = boundaries(STEPS)
    found = {}
    for name, axis, places in (
        ("start", 2, [stop for _, stop in before]),
        ("end", 1, [start for start, _ in after]),
    ):
        best = distances.min(axis=axis)
        rises = best - best.min(axis=1, keepdims=True)
        true = [x["change"][axis == 1] / x["frames"] * STEPS for x in truth]
        steps = np.rint(np.array(places)[None] - np.array(true)[:, None])
        found[name] = [
            (step, float(rises[steps == step].mean()))
            for step in range(-4, 5)
            if (steps == step).any()
        ]
    return found


def _errors(pair, item: dict) -> tuple[float, float]:
    """Return the distances of start and end from the true ones, in frames."""
    before, after = boundaries(STEPS)
    share = item["frames"] / STEPS
    start, end = before[pair[0]][1] * share, after[pair[1]][0] * share
    return abs(start - item["change"][0]), abs(end - item["change"][1])


def constants(listed: Path) -> dict[str, np.ndarray]:
    """Return errors in frames of boundaries that no video has chosen.

    Returns:
        The mean errors of start and end: at the middle of the video, in the
        middle of the range that the paper searches, and anywhere in it.
    """
    truth = json.loads(listed.read_text())["items"]
    before, after = (range(len(part)) for part in boundaries(STEPS))
    p, e = _table(listed).pairs[0]
    choices = {
        "the middle of the video": [(p, e)],
        "the middle of the range": [(len(before) // 2, len(after) // 2)],
        "anywhere in the range": [(i, j) for i in before for j in after],
    }
    return {
        name: np.mean([_errors(x, item) for x in pairs for item in truth], 0)
        for name, pairs in choices.items()
    }


def profile_table(rows: list[dict]) -> str:
    """Return how the distance grows around the true boundary, as Markdown."""
    lines = ["", "| steps behind the true one | start | end |", "|---|---|---|"]
    profiles = [row["profile"] for row in rows if "profile" in row]
    for step in range(-4, 5):
        cells = []
        for name in ("start", "end"):
            seen = [dict(map(tuple, x[name])).get(step) for x in profiles]
            seen = [value for value in seen if value is not None]
            cells.append(f"{np.mean(seen):.4f}" if seen else "")
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n" if profiles else ""


def table(rows: list[dict], listed: Path) -> str:
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
    for name, (start, end) in constants(listed).items():
        lines.append(f"| {name} | | | {start / FPS:.3f} | {end / FPS:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
