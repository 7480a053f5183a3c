"""Pictures of a run: its curves and its confusion."""

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_twostream._files import expanded

LABELLED = 30  # more class names than this cannot be read
COUNTED = 20  # nor can numbers in the cells of more classes
_COLOURS = {"fused": "#2e8b57", "rgb": "#2f7fd1", "flow": "#d9822b"}
_PARTS = ("training", "validation")
_DARK = 0.55  # a share from which on white words are legible


def plot_curves(
    rows: Sequence[Mapping[str, Any]], path: str | os.PathLike
) -> None:
    """Plot loss and accuracy over the epochs; the area for several labels.

    The legend has the best number of each curve and its epoch.

    Args:
        rows: The rows of `log.csv`.
        path: Path of the PNG.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    right = (
        "auc" if any(key.endswith("auc") for key in rows[-1]) else "accuracy"
    )
    for axes, word in zip(figure.subplots(1, 2), ("loss", right), strict=True):
        names = [key for key in rows[-1] if key.endswith(word)]
        for name in sorted(names, key=_main_first):
            _plot_curve(axes, rows, name, word)
        axes.set_title(word)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(fontsize="small", loc="best")
    figure.savefig(expanded(path), dpi=120)


def _plot_curve(
    axes: Axes, rows: Sequence[Mapping[str, Any]], name: str, word: str
) -> None:
    """Plot one curve, dashed for the validation, and mark its best."""
    shown = [row for row in rows if row.get(name) is not None]
    epochs = [row["epoch"] for row in shown]
    values = [float(row[name]) for row in shown]
    sign = 1 if word == "loss" else -1
    best = int(np.argmin(np.nan_to_num(sign * np.array(values), nan=np.inf)))
    held_out = name.startswith("val_")
    stream = name.removeprefix("val_").removesuffix(word).rstrip("_")
    whole = stream in ("", "fused")
    label = " ".join(filter(None, ("" if whole else stream, _PARTS[held_out])))
    axes.plot(
        epochs,
        values,
        label=f"{label}: best {values[best]:.3f}, epoch {epochs[best]}",
        color=_COLOURS.get(stream or "fused"),
        linestyle="--" if held_out else "-",
        linewidth=2 if whole else 1,
        alpha=1 if whole else 0.6,
        marker="o" if len(shown) == 1 else None,
    )


def _main_first(name: str) -> tuple[bool, str]:
    """Sort the curves of all streams together in front of those apart."""
    stem = name.removeprefix("val_")
    return not stem.startswith(("fused", "loss", "accuracy", "auc")), name


def plot_confusion(
    matrix: np.ndarray,
    classes: Sequence[str],
    path: str | os.PathLike | IO[bytes],
) -> None:
    """Plot a confusion matrix, rows scaled to one, with counts in its cells.

    Args:
        matrix: (classes, classes) counts; rows are the true class.
        classes: Class names, or empty.
        path: Destination of the PNG, a file name or a binary file.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = min(4 + 0.4 * len(matrix), 14)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("share of the true class")
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set_title(f"{right} of {total} videos are named right")
    axes.set_xlabel("named")
    axes.set_ylabel("true")
    if classes and len(classes) <= LABELLED:
        places = range(len(classes))
        counts = matrix.sum(axis=1).astype(int)
        names = [f"{x} ({n})" for x, n in zip(classes, counts, strict=True)]
        axes.set_xticks(places, classes, rotation=90)
        axes.set_yticks(places, names)
    if len(matrix) <= COUNTED:
        _write_counts(axes, matrix, shares)
    if isinstance(path, str | os.PathLike):
        path = expanded(path)
    figure.savefig(path, dpi=120)


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            dark = shares[row, column] > _DARK
            axes.text(
                column,
                row,
                f"{int(count)}",
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
