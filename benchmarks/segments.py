"""When: segments of videos joined from three actors' actions.

Three people who were never seen, each with another action, one after the other
with hard cuts. A segment is right if it has the action's name and overlaps it
by half (temporal IoU), once for each action.

    python benchmarks/segments.py --videos 60 --out benchmarks/segments.md
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np

import keras_twostream as kts
from keras_twostream import actors

FPS = 25
PARTS = 3
MODEL = "spatiotemporal_resnet.actors"
THRESHOLDS = (0.3, 0.5, 0.7)


def main() -> None:
    """Print the table, and write it with --out."""
    arguments = _arguments()
    model = kts.load(MODEL)
    found, truths = [], []
    for number in range(arguments.videos):
        frames, truth = joined(number)
        found.append(kts.predict(frames, model, hop=arguments.hop))
        truths.append(truth)
    lines = ["| threshold | precision | recall | F1 |", "|---|---|---|---|"]
    for threshold in THRESHOLDS:
        segments = [
            [(x.start, x.end, x.label) for x in one.segments(threshold)]
            for one in found
        ]
        row = " | ".join(f"{x:.3f}" for x in f1(segments, truths))
        lines.append(f"| {threshold} | {row} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--hop", type=float, help="seconds between windows")
    parser.add_argument("--out", type=Path, help="a Markdown file")
    return parser.parse_args()


def joined(number: int) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Return frames, and (start, end, action) of each part in seconds."""
    rng = np.random.default_rng([0, number])
    labels = rng.choice(actors.CLASSES, PARTS, replace=False).tolist()
    parts = [
        actors.render(label, 0, "test", PARTS * number + place)
        for place, label in enumerate(labels)
    ]
    cuts = np.cumsum([0, *map(len, parts)]) / FPS
    truth = list(
        zip(cuts[:-1].tolist(), cuts[1:].tolist(), labels, strict=True)
    )
    return np.concatenate(parts), truth


def f1(found, truths, least: float = 0.5) -> tuple[float, float, float]:
    """Return precision, recall and F1 over all videos.

    Args:
        found: (start, end, action) of the segments of each video.
        truths: The same of the true ones.
        least: Least temporal IoU of a right segment.
    """
    right = sum(
        _right(segments, truth, least)
        for segments, truth in zip(found, truths, strict=True)
    )
    precision = right / max(1, sum(map(len, found)))
    recall = right / max(1, sum(map(len, truths)))
    return precision, recall, _mean(precision, recall)


def _mean(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def _right(segments, truth, least: float) -> int:
    """Return the number of true parts that a segment of their own finds."""
    left, right = list(segments), 0
    for start, end, label in truth:
        best = max(
            (x for x in left if x[2] == label),
            key=lambda x: _shared(x, start, end),
            default=None,
        )
        if best is not None and _shared(best, start, end) >= least:
            left.remove(best)
            right += 1
    return right


def _shared(segment, start: float, end: float) -> float:
    both = min(segment[1], end) - max(segment[0], start)
    either = max(segment[1], end) - min(segment[0], start)
    return max(0.0, both) / either


if __name__ == "__main__":
    main()
