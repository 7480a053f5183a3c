"""Whole-video evaluation against the obvious loop over views.

    python benchmarks/multi_view.py my_videos [--model NAME] [--clips 10]

`my_videos` holds one folder of videos per class, with the model's class
names. The loop reads each video, runs the network on one view after the
other, and averages. Both take turns; each is also run in a process of its
own, on the whole list and on its first quarter, for the peak of memory. The
fully convolutional views are reported apart, with their accuracy.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import keras
import numpy as np

import keras_twostream as kts
from keras_twostream.data import read_annotations

CROPS = "3-crop"


def main() -> None:
    given = _arguments()
    model = kts.load(given.model)
    items = _items(given, model)
    if given.peak:
        WAYS[given.peak](model, items, given.clips)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    times = {way: [] for way in WAYS}
    for _ in range(1 + given.repeat):  # the first round compiles
        found = {}
        for way, run in WAYS.items():
            began = time.perf_counter()
            found[way] = run(model, items, given.clips)
            times[way].append(time.perf_counter() - began)
    labels = np.array([label for _, label in items])
    print("| views | s | against the loop | top-1 | MB | MB, a quarter |")
    print("|---|---|---|---|---|---|")
    seconds = {way: statistics.median(times[way][1:]) for way in WAYS}
    for way in WAYS:
        top = np.mean(found[way].argmax(axis=1) == labels)
        ratio = seconds["loop"] / seconds[way]
        whole, part = (_peak(given, way, n) for n in (1, 4))
        print(
            f"| {way} | {seconds[way]:.1f} | {ratio:.2f} | {top:.1%} | "
            f"{whole} | {part} |"
        )
    apart = np.abs(found["loop"] - found["evaluator"]).max()
    print(f"\nLargest difference between loop and evaluator: {apart:.1e}")


def _loop(model: keras.Model, items, count: int) -> np.ndarray:
    scores = []
    for path, _ in items:
        views = kts.clips(path, model, count, crops=CROPS)
        rows = [
            model.predict_on_batch(
                {stream: view[i : i + 1] for stream, view in views.items()}
            )[0]
            for i in range(len(next(iter(views.values()))))
        ]
        scores.append(np.mean(rows, axis=0))
    return np.stack(scores)


def _evaluator(model, items, count: int, crops: str = CROPS) -> np.ndarray:
    found = kts.training.evaluate_videos(
        model, items, num_clips=count, crops=crops
    )
    return found.scores["fused"]


WAYS = {
    "loop": _loop,
    "evaluator": _evaluator,
    "evaluator, whole frame and mirror": lambda model, items, count: _evaluator(
        model, items, count, "whole_mirrored"
    ),
}


def _items(given: argparse.Namespace, model) -> list[tuple[str, int]]:
    found = read_annotations(given.videos)
    names = kts.inspection.class_names(model)
    items = [
        (path, names.index(found.classes[label]))
        for path, label in zip(found.paths, found.labels, strict=True)
    ]
    step = max(1, len(items) // given.videos_used)
    return items[::step][: given.videos_used]


def _peak(given: argparse.Namespace, way: str, part: int) -> int:
    """Megabytes at the peak, of a process that does nothing else."""
    used = given.videos_used // part
    command = [sys.executable, __file__, given.videos, "--model", given.model]
    command += ["--clips", str(given.clips), "--videos-used", str(used)]
    done = subprocess.run(
        [*command, "--peak", way], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos")
    parser.add_argument("--model", default="spatiotemporal_resnet.actors")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--videos-used", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
