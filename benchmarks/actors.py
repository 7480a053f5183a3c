"""What the shipped network knows of actors it has never seen.

    python benchmarks/actors.py --out actors [--alone local:rgb_run/model]

Renders the held-out split (1,020 clips by default) and prints the accuracy by
video of the whole network, of each stream's head, of the network that is
shown frames but no flow, of one frame alone (repeated, without motion) and of
networks trained with less (`--alone`), each with the exact McNemar test
against the whole; and the share of motion-pair clips whose answer turns into
the partner's when they are played backwards.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from rich.progress import track
from scipy.stats import binomtest

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
WHOLE = "the whole network"
CENTRE = "the whole, one centred clip"
NO_FLOW = "frames without flow"
BACKWARDS = "backwards"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="actors", help="folder of videos")
    parser.add_argument("--count", type=int, default=1020)
    parser.add_argument("--seed", type=int, default=0, help="of the videos")
    parser.add_argument("--clips", type=int, default=3, help="per video")
    parser.add_argument("--model", default="spatiotemporal_resnet.actors")
    parser.add_argument("--alone", nargs="*", default=[], help="other models")
    given = parser.parse_args()
    videos = actors.generate(given.out, given.count, "test", given.seed)
    paths = [path for path, _ in videos]
    labels = [actors.CLASSES[label] for _, label in videos]
    model = kts.load(given.model)
    answers = {}
    for way, (change, clips) in ways(given.clips).items():
        hidden = "flow" if way == NO_FLOW else None
        found = classify(model, paths, change, clips, hidden)
        for output, named in found.items():
            key = way if output == FUSED else f"{way}, {output} head"
            answers[key] = named
    for name in given.alone:
        found = classify(kts.load(name), paths, unchanged, given.clips)
        answers[f"alone: {name}"] = found[FUSED]
    report(answers, np.array(labels))


def ways(clips: int) -> dict:
    """How videos are shown: what is done to one, and clips taken of it."""
    return {
        WHOLE: (unchanged, clips),
        CENTRE: (unchanged, 1),
        NO_FLOW: (unchanged, 1),
        "one frame, repeated": (still, 1),
        BACKWARDS: (lambda video: video[::-1], clips),
    }


def unchanged(video: np.ndarray) -> np.ndarray:
    return video


def still(video: np.ndarray) -> np.ndarray:
    return np.repeat(video[len(video) // 2][None], len(video), axis=0)


def classify(
    model, paths, change, count: int, hidden: str | None = None
) -> dict[str, np.ndarray]:
    """The class that each output of the model names for each video."""
    network, names, found = scorer(model), kts.inspection.class_names(model), {}
    for batch in track(list(batches(paths)), transient=True):
        clips = [
            kts.clips(change(read_frames(path)), model, count) for path in batch
        ]
        batch_of_clips = stack(clips)
        if hidden:
            batch_of_clips[hidden][:] = 0
        scores = network.predict_on_batch(batch_of_clips)
        for output, logits in scores.items():
            by_video = logits.reshape(len(batch), count, -1).mean(axis=1)
            found.setdefault(output, []).extend(by_video.argmax(axis=-1))
    return {key: np.array(names)[best] for key, best in found.items()}


def batches(paths) -> Iterator[list]:
    for start in range(0, len(paths), BATCH):
        yield paths[start : start + BATCH]


def stack(clips) -> dict[str, np.ndarray]:
    return {
        stream: np.concatenate([clip[stream] for clip in clips])
        for stream in clips[0]
    }


def report(answers: dict, labels: np.ndarray) -> None:
    whole = answers[WHOLE] == labels
    print("| shown | accuracy | against the whole |\n|---|---|---|")
    for way, answer in answers.items():
        if way.startswith(BACKWARDS):
            continue
        hits = answer == labels
        error = 1.96 * hits.std() / np.sqrt(len(hits))
        test = "" if way == WHOLE else f"p = {mcnemar(whole, hits):.1e}"
        print(f"| {way} | {hits.mean():.1%} +- {error:.1%} | {test} |")
    print(f"| motion pairs that turn | {turned(answers, labels):.1%} | |")
    print("\n| class | accuracy |\n|---|---|")
    for name in actors.CLASSES:
        print(f"| {name} | {whole[labels == name].mean():.1%} |")


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Exact two-sided p of two networks' hits on the same videos."""
    better, worse = int((one & ~other).sum()), int((~one & other).sum())
    if better + worse == 0:
        return 1.0
    return binomtest(better, better + worse).pvalue


def turned(answers: dict, labels: np.ndarray) -> float:
    """Share of rightly named pair clips that flip when played backwards."""
    partner = dict(PAIRS) | {b: a for a, b in PAIRS}
    right = np.isin(labels, list(partner)) & (answers[WHOLE] == labels)
    wanted = np.array([partner[label] for label in labels[right]])
    return float(np.mean(answers[BACKWARDS][right] == wanted))


if __name__ == "__main__":
    main()
