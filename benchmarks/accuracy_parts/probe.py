"""What frozen features are worth: a linear classifier on top of each.

GoogLeNet with BVLC's ImageNet weights in both streams (flow by cross-modality,
Wang et al. 2015: the mean of the first kernel over rgb, for every channel of
flow), the same network with random weights, and the small ST-ResNet from drawn
actors. Each video is a few clips, evenly spaced; their features are averaged.
Features are kept by class, so that a run that was stopped goes on.
"""

import dataclasses
import functools
import time
from pathlib import Path

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_twostream as kts
from accuracy_parts.googlenet import FIELDS, googlenet
from accuracy_parts.lists import read_split
from accuracy_parts.results import SPLITS, Results
from accuracy_parts.runs import START
from keras_twostream.data import clips, count_frames, read_frames

STREAMS = ("rgb", "flow")


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of videos by a start and a stream.

    Args:
        folder: The data.
        work: Where features are kept.
        frames: Clips of each video.
        values: BVLC's values in safetensors, by the layers' names; without
            it they are the catalogue's.
    """

    folder: Path
    work: Path
    frames: int
    values: Path | None = None

    def of(
        self, start: str, stream: str, backwards: bool = False
    ) -> dict[str, np.ndarray]:
        """Features by the video's name, computed once."""
        found: dict[str, np.ndarray] = {}
        for folder in sorted(self.folder.iterdir()):
            if paths := sorted(folder.glob("*.mp4")):
                found |= self._of_class(start, stream, backwards, paths)
        return found

    def _of_class(self, start, stream, backwards, paths) -> dict:
        way = "backwards" if backwards else "forwards"
        name = f"{start}-{stream}-{self.frames}-{way}"
        kept = self.work / name / f"{paths[0].parent.name}.npz"
        if not kept.exists():
            network, spec = _network(start, stream, self.values)
            rows = [
                _features(network, spec, path, self.frames, backwards)
                for path in paths
            ]
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, names=[p.stem for p in paths], rows=np.stack(rows))
        with np.load(kept) as file:
            return dict(zip(file["names"].tolist(), file["rows"], strict=True))


# === Networks ===


@functools.cache
def _network(start: str, stream: str, values: Path | None):
    """The network up to its last pool, and its clip."""
    model = _model(start, stream, values)
    return kts.taps(model, [f"{stream}.pool5"]), kts.clip_spec(model)


def _model(start: str, stream: str, values: Path | None) -> keras.Model:
    if start == "actors":
        return kts.load(START)
    return googlenet(start, stream, FIELDS[stream], values)


def _features(
    network, spec: kts.ClipSpec, path: Path, frames: int, backwards: bool
) -> np.ndarray:
    """The mean of a video's features over its clips and their steps."""
    source: Path | np.ndarray = path
    if backwards:
        # Frames are taken to be at the model's rate, as this video's are.
        source = np.ascontiguousarray(
            read_frames(path, np.arange(count_frames(path)))[::-1]
        )
    batch = clips(source, spec, frames)
    (pooled,) = network.predict_on_batch(batch).values()
    return np.reshape(pooled, (-1, pooled.shape[-1])).mean(axis=0)


# === Classifiers ===


def run(features: Features, starts, results: Results) -> None:
    """Measure every start and stream, and both streams, on every split."""
    for start in starts:
        chances = {}
        for stream in STREAMS:
            began = time.process_time()
            found = features.of(start, stream)
            used = time.process_time() - began
            chances[stream] = {
                split: _classified(found, read_split(features.folder, split))
                for split in SPLITS
            }
            _note(results, features, start, stream, chances[stream], used)
        both = {s: chances["rgb"][s] + chances["flow"][s] for s in SPLITS}
        _note(results, features, start, "fused", both, 0.0)


def _note(results, features, start, stream, chances, used) -> None:
    for number in SPLITS:
        split = read_split(features.folder, number)
        results.add(
            chances[number].argmax(axis=1) == split.test_labels,
            0.0,
            "python benchmarks/accuracy.py probe ucf101_six "
            f"--frames {features.frames}",
            processor=used / len(SPLITS),
            system=f"probe {stream}, {features.frames} clip(s)",
            init=start,
            split=number,
            seed=0,
        )


def _classified(found: dict[str, np.ndarray], split) -> np.ndarray:
    """(videos, classes) probabilities of the test videos."""
    train = np.stack([found[Path(path).stem] for path in split.train])
    test = np.stack([found[Path(path).stem] for path in split.test])
    return _fitted(train, split.train_labels).predict_proba(test)


def _fitted(rows: np.ndarray, labels: np.ndarray):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(rows, labels)


# === Few videos ===

COUNTS = (5, 10, 20, 50)  # videos a class
DRAWS = 5


def curve(features: Features, starts) -> str:
    """Accuracy against videos a class, as a table in markdown.

    Two tasks: the six classes, by both streams; and by flow alone, whether a
    video runs forwards or backwards, each recording standing on one side only.
    Means over five draws of videos on each of three splits.
    """
    lines = [
        "| task | start | " + " | ".join(map(str, COUNTS)) + " |",
        "|---" * (2 + len(COUNTS)) + "|",
    ]
    for start in starts:
        for task, measure in (("six classes", _six), ("direction", _ways)):
            shares = [measure(features, start, count) for count in COUNTS]
            cells = " | ".join(f"{share:.1%}" for share in shares)
            lines.append(f"| {task} | {start} | {cells} |")
    return "\n".join(lines)


def _six(features: Features, start: str, count: int) -> float:
    found = [features.of(start, stream) for stream in STREAMS]
    rights = []
    for number in SPLITS:
        split = read_split(features.folder, number)
        for draw in range(DRAWS):
            few = _drawn(split, count, draw)
            few_split = dataclasses.replace(
                split,
                train=[split.train[index] for index in few],
                train_labels=split.train_labels[few],
            )
            chances = sum(_classified(rows, few_split) for rows in found)
            rights.append(chances.argmax(axis=1) == split.test_labels)
    return float(np.mean(np.concatenate(rights)))


def _ways(features: Features, start: str, count: int) -> float:
    forwards, backwards = (
        features.of(start, "flow", way) for way in (False, True)
    )
    rights = []
    for number in SPLITS:
        split = read_split(features.folder, number)
        for draw in range(DRAWS):
            few = [split.train[i] for i in _drawn(split, count, draw)]
            rows, labels = _both_ways(few, forwards, backwards)
            model = _fitted(rows, labels)
            rows, labels = _both_ways(split.test, forwards, backwards)
            rights.append(model.predict(rows) == labels)
    return float(np.mean(np.concatenate(rights)))


def _both_ways(paths, forwards, backwards) -> tuple[np.ndarray, np.ndarray]:
    """Every second video backwards: features, and 1 for those."""
    labels = np.arange(len(paths)) % 2
    rows = [
        (backwards if label else forwards)[Path(path).stem]
        for path, label in zip(paths, labels, strict=True)
    ]
    return np.stack(rows), labels


def _drawn(split, count: int, seed: int) -> np.ndarray:
    """Places of `count` training videos a class, at most."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.permutation(np.flatnonzero(split.train_labels == label))[:count]
            for label in np.unique(split.train_labels)
        ]
    )
