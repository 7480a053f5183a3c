"""Batches for `fit`: labels per output, and weights."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_twostream.errors import SpecError


def labelled(
    dataset: tf.data.Dataset,
    outputs: Sequence[str] | None,
    class_weight: Mapping[int, float] | None = None,
) -> tf.data.Dataset:
    """Give every output its labels, and weights where there are any.

    Keras refuses its own `class_weight` for models of several outputs.

    Args:
        dataset: A dataset of (clips, labels) or (clips, labels, weights).
        outputs: Names of the model's outputs, or None when it has one.
        class_weight: Mapping from class number to the weight of its clips; 1
            for classes that it leaves out.

    Returns:
        A dataset of (clips, labels[, weights]).

    Raises:
        SpecError: If classes have weights, and a video has several classes.
    """
    shape = dataset.element_spec[1].shape
    if class_weight and shape.rank != 1:
        raise SpecError(
            "`class_weight` needs one class per video. Received: labels of "
            f"shape {shape}. Leave `class_weight` out."
        )

    def change(clips, label, *weight):
        if class_weight:
            own = weight[0] if weight else 1.0
            weight = (own * _weights(class_weight, label),)
        values = (label, *weight)
        if outputs is not None:
            values = tuple({name: x for name in outputs} for x in values)
        return clips, *values

    return dataset.map(change)


def filled_up(
    dataset: tf.data.Dataset, batch_size: int, items: Sequence[tuple[str, Any]]
) -> tf.data.Dataset:
    """Make the last batch as large as the others, with rows of no weight.

    One batch shape compiles once, and divides among devices. The weights' mean
    over all rows is 1, so that losses and accuracies, which Keras divides by
    rows or by weights, are the same as without the padding.

    Args:
        dataset: A dataset of (clips, labels); the last batch may be smaller.
        batch_size: Rows of a batch.
        items: The dataset's (path, label) pairs, those that cannot be read
            included.

    Returns:
        A dataset of (clips, labels, weights).
    """
    # Counted by item: a file may be listed twice, and is skipped once.
    count = sum(os.fspath(path) not in dataset.skipped for path, _ in items)
    rows = -(-count // batch_size) * batch_size

    def fill(clips, label):
        (clips, label), there = _repeat_last((clips, label), batch_size)
        return clips, label, there * (rows / count)

    return dataset.map(fill)


def even_batches(dataset: tf.data.Dataset, devices: int) -> tf.data.Dataset:
    """Fill every batch up to a multiple of the devices, at no weight.

    A smaller last batch may not divide evenly among the devices. Its last clip
    is repeated with weight 0; the gradient of a step stays that of the mean
    over the original clips. Batch normalisation sees the repeated clips, and
    `weighted_metrics` leave them out.

    Use this for training, not for measurement: the weights that make a step
    right let the clips of a smaller batch count slightly more in the numbers of
    an epoch.

    Args:
        dataset: A dataset of (clips, labels) or (clips, labels, weights).
        devices: Number of devices that share each batch.

    Returns:
        A dataset of (clips, labels, weights).
    """

    def fill(clips, label, weight=None):
        count = tf.shape(tf.nest.flatten(label)[0])[0]
        rows = -(-count // devices) * devices
        (clips, label), there = _repeat_last((clips, label), rows)
        # The mean is taken over all rows.
        there *= tf.cast(rows, "float32") / tf.cast(count, "float32")
        if weight is None:
            return clips, label, tf.nest.map_structure(lambda _: there, label)
        weight, _ = _repeat_last(weight, rows)
        weight = tf.nest.map_structure(
            lambda one: tf.cast(one, "float32") * there, weight
        )
        return clips, label, weight

    return dataset.map(fill)


def _repeat_last(batch: Any, rows: int | tf.Tensor) -> tuple[Any, tf.Tensor]:
    """Repeat the last row of a batch, and return (rows,) 1 for its own rows."""
    count = tf.shape(tf.nest.flatten(batch)[0])[0]
    places = tf.minimum(tf.range(rows), count - 1)
    batch = tf.nest.map_structure(lambda one: tf.gather(one, places), batch)
    return batch, tf.cast(tf.range(rows) < count, "float32")


def _weights(weights: Mapping[int, float], label: tf.Tensor) -> tf.Tensor:
    """Return the weight of each label, 1 where none is given."""
    same = label[:, None] == tf.constant(list(weights), label.dtype)
    change = tf.constant(list(weights.values()), "float32") - 1.0
    return 1.0 + tf.reduce_sum(tf.cast(same, "float32") * change, axis=1)
