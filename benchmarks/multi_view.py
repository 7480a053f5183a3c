"""Whole-video evaluation against the obvious loop over views.

    python benchmarks/multi_view.py my_videos [--model NAME] [--clips 10]

`my_videos` holds one folder of videos per class, with the model's class
names. The loop reads each video, runs the network on one view after the
other, and averages. Both take turns. With --memory each is also run in a
process of its own, on the whole list and on its first quarter, for the peak of
memory. The fully convolutional views are reported apart, with their accuracy.
"Times" is by the clock where the backend has a GPU, and by processor time,
which other work on the machine does not change, where it has none.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

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
        WAYS[given.peak](model, items, given.clips)()
        print(_high_water())
        return
    found, seconds = _take_turns(model, items, given)
    labels = np.array([label for _, label in items])
    print("| views | s | processor s | times | top-1 | MB | MB, a quarter |")
    print("|---|---|---|---|---|---|---|")
    clock = 0 if kts.training.has_gpu() else 1
    for way, (wall, processor) in seconds.items():
        top = np.mean(found[way].argmax(axis=1) == labels)
        ratio = seconds["loop"][clock] / seconds[way][clock]
        whole, part = "-", "-"
        if given.memory:
            whole, part = (_peak(given, way, n) for n in (1, 4))
        print(
            f"| {way} | {wall:.1f} | {processor:.1f} | {ratio:.2f} | "
            f"{top:.1%} | {whole} | {part} |",
            flush=True,
        )
    apart = np.abs(found["loop"] - found["evaluator"]).max()
    print(f"\nLargest difference between loop and evaluator: {apart:.1e}")


def _take_turns(model, items, given):
    """Scores, and median seconds by the clock and of the processors."""
    runs = {way: make(model, items, given.clips) for way, make in WAYS.items()}
    found = {way: run() for way, run in runs.items()}  # compiles
    times = {way: [] for way in runs}
    for _ in range(given.repeat):
        for way, run in runs.items():
            began = time.perf_counter(), time.process_time()
            run()
            ended = time.perf_counter(), time.process_time()
            times[way].append(np.subtract(ended, began))
    return found, {way: np.median(rows, axis=0) for way, rows in times.items()}


def _loop(model: keras.Model, items, count: int):
    return lambda: np.stack(
        [_mean_over_views(model, path, count) for path, _ in items]
    )


def _mean_over_views(model: keras.Model, path: str, count: int) -> np.ndarray:
    views = kts.clips(path, model, count, crops=CROPS)
    rows = [
        model.predict_on_batch(
            {stream: view[i : i + 1] for stream, view in views.items()}
        )[0]
        for i in range(len(next(iter(views.values()))))
    ]
    return np.mean(rows, axis=0)


def _evaluator(model: keras.Model, items, count: int, crops: str = CROPS):
    evaluator = kts.training.VideoEvaluator(items, num_clips=count, crops=crops)
    return lambda: evaluator(model).scores["fused"]


def _whole(model: keras.Model, items, count: int):
    return _evaluator(model, items, count, "whole_mirrored")


WAYS = {
    "loop": _loop,
    "evaluator": _evaluator,
    "evaluator, whole frame and mirror": _whole,
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


def _high_water() -> int:
    """The most memory this program held, in megabytes.

    Not `ru_maxrss`, which counts what the parent held before it.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos")
    parser.add_argument("--model", default="spatiotemporal_resnet.actors")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--videos-used", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
