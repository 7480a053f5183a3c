"""What the networks trained on actors know of people they have never seen.

    python benchmarks/actors.py --out actors \
        [--models local:run0/model local:run1/model local:run2/model] \
        [--alone "rgb stream=local:rgb0/model,local:rgb1/model" ...]

Renders the held-out split (1,020 clips by default) and prints the accuracy by
video, one column for each of `--models` (the same network trained with other
seeds): the whole network, each stream's head, frames without flow, one frame
alone (repeated, without motion), and networks trained with less (`--alone`,
one for each model, or one for all), each with the exact McNemar test against
the whole of its column; and the share of motion-pair clips whose answer turns
into the partner's when they are played backwards.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rich.progress import track
from scipy.stats import binomtest

import keras_twostream as kts
from keras_twostream import actors
from keras_twostream.data import read_frames
from keras_twostream.scoring.scorer import scorer
from keras_twostream.spec import FUSED

PAIRS = (
    ("sit_down", "stand_up"),
    ("raise_arms", "lower_arms"),
    ("walk_forward", "walk_backward"),
    ("circle_arms_clockwise", "circle_arms_anticlockwise"),
)
BATCH = 20
WHOLE = "the whole network"
CENTRE = "the whole, one centred clip"
NO_FLOW = "frames without flow"
BACKWARDS = "backwards"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="actors", help="folder of videos")
    parser.add_argument("--count", type=int, default=1020)
    parser.add_argument("--seed", type=int, default=0, help="of the videos")
    parser.add_argument("--clips", type=int, default=3, help="per video")
    parser.add_argument(
        "--models", nargs="+", default=["spatiotemporal_resnet.actors"]
    )
    parser.add_argument("--alone", nargs="*", default=[], help="NAME=MODEL,...")
    parser.add_argument("--flow", help="another flow than the networks' own")
    given = parser.parse_args()
    videos = actors.generate(given.out, given.count, "test", given.seed)
    paths = [path for path, _ in videos]
    labels = np.array([actors.CLASSES[label] for _, label in videos])
    models = [Network(name, given.flow) for name in given.models]
    columns = [{} for _ in models]
    for way, (change, clips) in ways(given.clips).items():
        hidden = "flow" if way == NO_FLOW else None
        for column, found in zip(
            columns, classify(models, paths, change, clips, hidden), strict=True
        ):
            for output, named in found.items():
                key = way if output == FUSED else f"{way}, {output} head"
                column[key] = named
    for title, names in map(parse_alone, given.alone):
        alone = [Network(name, given.flow) for name in names]
        count = 1 if alone[0].spec.clip_length == 1 else given.clips
        found = classify(alone, paths, unchanged, count)
        for number, column in enumerate(columns):
            answers = found[min(number, len(found) - 1)]
            column[f"trained alone: {title}"] = answers[FUSED]
    report(columns, labels)


def parse_alone(text: str) -> tuple[str, list[str]]:
    title, _, names = text.partition("=")
    return title, names.split(",")


class Network:
    """A model with the functions that its answers need.

    Args:
        name: What `load` takes.
        algorithm: Of the flow; its own when None.
    """

    def __init__(self, name: str, algorithm: str | None) -> None:
        model = kts.load(name)
        self.run, self.names = scorer(model), kts.inspection.class_names(model)
        self.spec = kts.clip_spec(model)
        if algorithm is not None:
            self.spec = self.spec.replace(flow_algorithm=algorithm)


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
    models: list[Network],
    paths,
    change,
    count: int,
    hidden: str | None = None,
) -> list[dict[str, np.ndarray]]:
    """The class that each output of each model names for each video."""
    spec, found = models[0].spec, [{} for _ in models]
    if any(model.spec != spec for model in models):
        raise SystemExit("Models beside each other must eat the same clip.")

    def clip(path):
        return kts.data.clips(change(read_frames(path)), spec, count)

    with ThreadPoolExecutor() as pool:
        for batch in track(list(batches(paths)), transient=True):
            clips = stack(list(pool.map(clip, batch)))
            if hidden:
                clips[hidden][:] = 0
            for model, answers in zip(models, found, strict=True):
                for output, named in answer(model, clips, len(batch)).items():
                    answers.setdefault(output, []).extend(named)
    return [
        {output: np.array(named) for output, named in answers.items()}
        for answers in found
    ]


def answer(model: Network, clips, videos: int) -> dict[str, np.ndarray]:
    names = np.array(model.names)
    return {
        output: names[logits.reshape(videos, -1, len(names)).mean(1).argmax(-1)]
        for output, logits in model.run.predict_on_batch(clips).items()
    }


def batches(paths) -> Iterator[list]:
    for start in range(0, len(paths), BATCH):
        yield paths[start : start + BATCH]


def stack(clips) -> dict[str, np.ndarray]:
    return {
        stream: np.concatenate([clip[stream] for clip in clips])
        for stream in clips[0]
    }


def report(columns: list[dict], labels: np.ndarray) -> None:
    seeds = " | ".join(f"seed {i}" for i in range(len(columns)))
    print(f"| shown | {seeds} | mean | p against the whole |")
    print("|---" * (len(columns) + 3) + "|")
    for way in columns[0]:
        if way.startswith(BACKWARDS):
            continue
        hits = [column[way] == labels for column in columns]
        worst = max(
            mcnemar(column[WHOLE] == labels, hit)
            for column, hit in zip(columns, hits, strict=True)
        )
        print(row(way, hits, "" if way == WHOLE else f"{worst:.1e}"))
    share = [turned(column, labels) for column in columns]
    print(row("motion pairs that turn", [np.array([x]) for x in share], ""))
    print("\n| class | accuracy |\n|---|---|")
    right = np.mean([column[WHOLE] == labels for column in columns], axis=0)
    for name in actors.CLASSES:
        print(f"| {name} | {right[labels == name].mean():.1%} |")


def row(title: str, hits: list[np.ndarray], p: str) -> str:
    """A line of the table; +- is the 95 % interval over videos."""
    each = " | ".join(f"{hit.mean():.1%}" for hit in hits)
    rate = np.mean(hits, axis=0)
    error = 1.96 * rate.std() / np.sqrt(len(rate))
    spread = f" +- {error:.1%}" if len(rate) > 1 else ""
    return f"| {title} | {each} | {rate.mean():.1%}{spread} | {p} |"


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
