"""Pictures of a run: its curves and its confusion."""

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
from matplotlib.figure import Figure

LABELLED = 30  # more class names than this cannot be read


def plot_curves(
    rows: Sequence[Mapping[str, Any]], path: str | os.PathLike
) -> None:
    """Plot loss and accuracy over the epochs; the area for several labels.

    Args:
        rows: The rows of `log.csv`.
        path: Path of the PNG.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    right = (
        "auc" if any(key.endswith("auc") for key in rows[-1]) else "accuracy"
    )
    for axes, word in zip(figure.subplots(1, 2), ("loss", right), strict=True):
        for name in [key for key in rows[-1] if key.endswith(word)]:
            shown = [row for row in rows if name in row]
            axes.plot(
                [row["epoch"] for row in shown],
                [row[name] for row in shown],
                label=name,
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(word)
        axes.legend()
    figure.savefig(path, dpi=120)


def plot_confusion(
    matrix: np.ndarray,
    classes: Sequence[str],
    path: str | os.PathLike | IO[bytes],
) -> None:
    """Plot a confusion matrix, rows scaled to one.

    Args:
        matrix: (classes, classes) counts; rows are the true class.
        classes: Class names, or empty.
        path: Destination of the PNG, a file name or a binary file.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = min(3 + 0.35 * len(matrix), 14)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xlabel("named")
    axes.set_ylabel("true")
    if classes and len(classes) <= LABELLED:
        places = range(len(classes))
        axes.set_xticks(places, classes, rotation=90)
        axes.set_yticks(places, classes)
    figure.savefig(path, dpi=120)
