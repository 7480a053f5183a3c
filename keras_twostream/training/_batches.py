"""Batches in the form that `fit` wants: labels per output, and weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf


def labelled(
    dataset: tf.data.Dataset,
    outputs: Sequence[str] | None,
    class_weight: Mapping[int, float] | None = None,
) -> tf.data.Dataset:
    """Labels, and weights where there are any, for every output.

    Keras's own `class_weight` is refused for models of several outputs.

    Args:
        dataset: Of (clips, labels) or (clips, labels, weights).
        outputs: Names of the model's outputs, or None when it has one.
        class_weight: From class number to the weight of its clips.

    Returns:
        A dataset of (clips, labels[, weights]).
    """
    table = _table(class_weight) if class_weight else None

    def change(clips, label, *weight):
        if table is not None:
            weight = (tf.gather(table, label),)
        values = (label, *weight)
        if outputs is not None:
            values = tuple({name: x for name in outputs} for x in values)
        return clips, *values

    return dataset.map(change)


def several(label: int | Sequence[int]) -> tuple[int, ...]:
    """A label as the classes that a video shows; none for -1."""
    return tuple(x for x in np.atleast_1d(label).tolist() if x >= 0)


def filled_up(
    dataset: tf.data.Dataset, batch_size: int, items: int
) -> tf.data.Dataset:
    """Makes the last batch as large as the others, at no weight.

    One batch shape compiles once, and divides among devices. The weights'
    mean over all rows is 1, so that losses and accuracies, which Keras
    divides by rows or by weights, both come out as without the filling.

    Args:
        dataset: Of (clips, labels), the last batch perhaps smaller.
        batch_size: Rows of a batch.
        items: Rows of the dataset; those that cannot be read are fewer.

    Returns:
        A dataset of (clips, labels, weights).
    """
    count = items - len(dataset.skipped)
    rows = -(-count // batch_size) * batch_size

    def fill(clips, label):
        there = tf.shape(label)[0]
        places = tf.minimum(tf.range(batch_size), there - 1)
        weight = tf.cast(tf.range(batch_size) < there, "float32")
        clips, label = tf.nest.map_structure(
            lambda array: tf.gather(array, places), (clips, label)
        )
        return clips, label, weight * (rows / count)

    return dataset.map(fill)


def _table(weights: Mapping[int, float]) -> np.ndarray:
    table = np.ones(1 + max(weights), "float32")
    table[list(weights)] = list(weights.values())
    return table
