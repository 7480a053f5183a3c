"""The videos of a split, with the recordings that they were cut from."""

import dataclasses
from pathlib import Path

import numpy as np

from keras_twostream.data import read_annotations

LISTS = "ucfTrainTestlist"


@dataclasses.dataclass(frozen=True)
class Split:
    """The videos of one official split.

    Attributes:
        train: Paths to train on.
        train_labels: Their classes.
        test: Paths to test on.
        test_labels: Their classes.
    """

    train: list[str]
    train_labels: np.ndarray
    test: list[str]
    test_labels: np.ndarray


def read_split(folder: Path, split: int) -> Split:
    """The official split of that number, below `folder`."""
    parts = [
        read_annotations(
            folder / LISTS, split=split, subset=subset, root=folder
        )
        for subset in ("train", "test")
    ]
    train, test = parts
    return Split(
        train.paths,
        np.array(train.labels),
        test.paths,
        np.array(test.labels),
    )


def recordings(paths: list[str]) -> list[str]:
    """The recording of each clip: v_Surfing_g07_c02 is cut from g07."""
    return [Path(path).stem.rpartition("_c")[0] for path in paths]
