"""Row one: no network, only histograms and a logistic regression."""

import time
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from accuracy_parts.lists import read_split
from accuracy_parts.results import SPLITS, Results
from keras_twostream import flow
from keras_twostream.data import count_frames, read_frames

FRAMES = 12
BINS = (8, 4, 4)  # of hue, saturation and value
CELLS, ANGLES = (3, 4), 8
STILL = 0.2  # px; slower than this counts as no motion


def run(folder: Path, results: Results, work: Path) -> None:
    """Measures appearance, motion and both on every split."""
    features = _all_features(folder, work / "baseline.npz")
    for number in SPLITS:
        split = read_split(folder, number)
        began = time.perf_counter()
        chances = {
            name: _classify(found, split) for name, found in features.items()
        }
        chances["fused"] = chances["appearance"] + chances["motion"]
        seconds = time.perf_counter() - began
        for name, chance in chances.items():
            results.add(
                chance.argmax(axis=1) == split.test_labels,
                seconds / len(chances),
                "python benchmarks/accuracy.py baseline",
                system=f"baseline {name}",
                init="",
                split=number,
                seed=0,
            )


def _classify(features: dict[str, np.ndarray], split) -> np.ndarray:
    """(videos, classes) probabilities of the test videos."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    train = np.stack([features[_key(path)] for path in split.train])
    model.fit(train, split.train_labels)
    test = np.stack([features[_key(path)] for path in split.test])
    return model.predict_proba(test)


def _all_features(folder: Path, kept: Path):
    """Features of every video by name, computed once."""
    if not kept.exists():
        paths = sorted(folder.glob("*/*.mp4"))
        found = [(_appearance(x), _motion(x)) for x in map(_footage, paths)]
        appearance, motion = (
            np.stack(part) for part in zip(*found, strict=True)
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        names = np.array([_key(path) for path in paths])
        np.savez(kept, names=names, appearance=appearance, motion=motion)
    with np.load(kept) as file:
        return {
            stream: dict(zip(file["names"], file[stream], strict=True))
            for stream in ("appearance", "motion")
        }


def _key(path) -> str:
    return Path(path).stem


def _footage(path: Path) -> np.ndarray:
    """(12, 2, H, W, 3): frames spread over the video, each with its next."""
    first = np.linspace(0, count_frames(path) - 2, FRAMES).astype(int)
    numbers = np.unique([first, first + 1])
    frames = read_frames(path, numbers)
    return frames[np.searchsorted(numbers, np.stack([first, first + 1], 1))]


def _appearance(pairs: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of HSV histograms of the four quarters."""
    return _moments([_colours(image) for image in pairs[:, 0]])


def _colours(image: np.ndarray) -> np.ndarray:
    image = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    quarters = [
        quarter
        for half in np.array_split(image, 2, axis=0)
        for quarter in np.array_split(half, 2, axis=1)
    ]
    ranges = [0, 180, 0, 256, 0, 256]
    histograms = [
        cv2.calcHist([quarter], [0, 1, 2], None, BINS, ranges).ravel()
        for quarter in map(np.ascontiguousarray, quarters)
    ]
    return np.concatenate([each / each.sum() for each in histograms])


def _motion(pairs: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of flow's angles in 3 x 4 cells."""
    fields = [flow.compute(pair, algorithm="farneback")[0] for pair in pairs]
    return _moments([_angles(field) for field in fields])


def _angles(field: np.ndarray) -> np.ndarray:
    """Per cell: moving pixels by direction, weighed by speed."""
    speed = np.linalg.norm(field, axis=-1)
    turn = np.arctan2(field[..., 1], field[..., 0]) / (2 * np.pi) + 0.5
    angle = np.minimum((turn * ANGLES).astype(int), ANGLES - 1)
    speed = np.where(speed > STILL, speed, 0)
    height, width = speed.shape
    row = np.arange(height)[:, None] * CELLS[0] // height
    cell = row * CELLS[1] + np.arange(width) * CELLS[1] // width
    places = (cell * ANGLES + angle).ravel()
    total = np.bincount(places, speed.ravel(), np.prod(CELLS) * ANGLES)
    return np.sqrt(total / speed.size)


def _moments(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.mean(rows, axis=0), np.std(rows, axis=0)])
