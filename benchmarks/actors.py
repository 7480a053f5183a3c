"""What the shipped network knows of actors it has never seen.

    python benchmarks/actors.py --out actors

Renders the held-out split (1,020 clips by default) and prints accuracy by
clip, one centred clip a video: the whole network, each stream's head, one
frame alone (repeated, without motion), and the share of motion-pair clips
whose answer turns into the partner's when they are played backwards.
"""

import argparse
from collections.abc import Iterator

import numpy as np

import keras_twostream as kts
from keras_twostream.data import actors, read_frames
from keras_twostream.prediction import FUSED, scorer

PAIRS = (
    ("sit_down", "stand_up"),
    ("raise_arms", "lower_arms"),
    ("walk_forward", "walk_backward"),
    ("circle_arms_clockwise", "circle_arms_anticlockwise"),
)
BATCH = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="actors", help="folder of videos")
    parser.add_argument("--count", type=int, default=1020)
    parser.add_argument("--model", default="spatiotemporal_resnet.actors")
    options = parser.parse_args()
    model = kts.load(options.model)
    videos = actors.generate(options.out, options.count, split="test")
    names = kts.inspection.class_names(model)
    truth = np.array([names.index(actors.CLASSES[i]) for _, i in videos])
    answers = classify(model, [path for path, _ in videos])
    report(answers, truth, names)


def classify(model, paths) -> dict[str, np.ndarray]:
    """The answer to each video, by way of showing it."""
    network, found = scorer(model), {}
    for batch in batches(paths):
        for way, frames in ways(batch).items():
            clips = [kts.clips(video, model) for video in frames]
            scores = network.predict_on_batch(stack(clips))
            for output, logits in scores.items():
                key = way if output == FUSED else f"{way}, {output} head"
                found.setdefault(key, []).extend(np.argmax(logits, -1))
    return {way: np.array(answer) for way, answer in found.items()}


def batches(paths) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(paths), BATCH):
        yield [read_frames(path) for path in paths[start : start + BATCH]]


def ways(videos) -> dict[str, list[np.ndarray]]:
    return {
        "whole": videos,
        "one frame": [still(video) for video in videos],
        "backwards": [video[::-1] for video in videos],
    }


def still(video: np.ndarray) -> np.ndarray:
    return np.repeat(video[len(video) // 2][None], len(video), axis=0)


def stack(clips) -> dict[str, np.ndarray]:
    return {
        stream: np.concatenate([clip[stream] for clip in clips])
        for stream in clips[0]
    }


def report(answers, truth, names) -> None:
    for way in ("whole", "whole, rgb head", "whole, flow head", "one frame"):
        hits = answers[way] == truth
        error = 1.96 * hits.std() / np.sqrt(len(hits))
        print(f"{way:20s} {hits.mean():6.1%}  +- {error:.1%}")
    partner = {names.index(a): names.index(b) for a, b in PAIRS}
    partner |= {b: a for a, b in partner.items()}
    paired = np.array([label in partner for label in truth])
    right = paired & (answers["whole"] == truth)
    turned = [
        answers["backwards"][i] == partner[truth[i]]
        for i in np.flatnonzero(right)
    ]
    print(f"answers that turn when played backwards {np.mean(turned):6.1%}")
    print("\nby class")
    for number, name in enumerate(names):
        hits = answers["whole"][truth == number] == number
        print(f"  {name:28s} {hits.mean():6.1%}")


if __name__ == "__main__":
    main()
