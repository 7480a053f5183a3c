"""Segments of joined videos, against the seconds at which they were joined.

    python benchmarks/segments.py [--videos 20] [--model NAME] [--hop 0.2]

Each video joins three actors of the held-out split, with different actions,
people and places. A segment is right if its label is, and it shares at least
half of the union of both times with the true one (temporal IoU 0.5); each true
one is found once. Prints precision, recall and F1 by threshold.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import keras_twostream as kts
from keras_twostream import actors
from keras_twostream.actors.motions import FPS
from keras_twostream.actors.rendering import encode_clip
from keras_twostream.timeline import Segment

PARTS = 3
OVERLAP = 0.5
THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 0.9)


def main() -> None:
    given = _arguments()
    model = kts.load(given.model)
    counts = {threshold: np.zeros(3, int) for threshold in THRESHOLDS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.videos):
            path = Path(folder) / f"{number}.mp4"
            truth = joined(path, number)
            prediction = kts.predict(path, model, hop=given.hop)
            print(f"{number}: {prediction.segments()}", file=sys.stderr)
            for threshold, count in counts.items():
                found = prediction.segments(threshold)
                count += (matches(found, truth), len(found), len(truth))
    print(f"{given.videos} videos of {PARTS} actions, {given.model}\n")
    print("| threshold | precision | recall | F1 |\n|---|---|---|---|")
    for threshold, (right, found, true) in counts.items():
        print(
            f"| {threshold} | {right / max(1, found):.2f} | "
            f"{right / true:.2f} | {2 * right / (found + true):.2f} |"
        )


def joined(path: Path, number: int) -> list[Segment]:
    """Write a video of three actions; return when each is shown."""
    rng = np.random.default_rng(number)
    labels = rng.choice(actors.CLASSES, PARTS, replace=False).tolist()
    clips = [
        actors.render(label, seed=number, split="test", index=place)
        for place, label in enumerate(labels)
    ]
    ends = np.cumsum([len(clip) for clip in clips]) / FPS
    encode_clip(path, np.concatenate(clips), 23)
    starts = [0.0, *ends[:-1].tolist()]
    return [
        Segment(start, end, label, 1.0)
        for start, end, label in zip(starts, ends.tolist(), labels, strict=True)
    ]


def matches(found: list[Segment], truth: list[Segment]) -> int:
    """Count true segments that one found segment overlaps by half."""
    left, right = list(found), 0
    for true in truth:
        fits = [
            segment
            for segment in left
            if segment.label == true.label and overlap(segment, true) >= OVERLAP
        ]
        if fits:
            left.remove(fits[0])
            right += 1
    return right


def overlap(one: Segment, other: Segment) -> float:
    """Return the shared seconds over those of either."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return max(0.0, shared) / union


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--model", default="spatiotemporal_resnet.actors")
    parser.add_argument("--hop", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    main()
