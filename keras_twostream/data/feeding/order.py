"""Which item of a data set comes when, in which epoch."""

import numpy as np
import tensorflow as tf

from keras_twostream.data.cutting import placement
from keras_twostream.errors import SpecError


class Order:
    """The order of items, and how far a dataset has come in it."""

    def __init__(
        self,
        items: int,
        batch_size: int,
        drop_remainder: bool,
        seed: int | None,
        epoch: int,
        step: int,
    ) -> None:
        if not batch_size >= 1:
            raise SpecError(
                "`batch_size` must be 1 or more. "
                f"Received: batch_size={batch_size!r}"
            )
        self.items, self.batch_size = items, batch_size
        self.drop_remainder = drop_remainder
        self.steps = items // batch_size
        if not drop_remainder:
            self.steps = -(-items // batch_size)
        if self.steps == 0:
            raise SpecError(
                f"{items} readable videos do not fill one batch of "
                f"batch_size={batch_size}. Make it smaller, or pass "
                "drop_remainder=False."
            )
        if not 0 <= step < self.steps:
            raise SpecError(
                f"`start_step` must lie in 0..{self.steps - 1}. "
                f"Received: start_step={step}"
            )
        self._seed, self.epoch, self.step = seed, epoch, step
        self._start = (epoch, step)

    def pairs(self, epoch: int) -> np.ndarray:
        """Return (N, 2) pairs (epoch, item) that are left of an epoch."""
        shuffled = self._seed is not None
        order = placement.epoch_order(
            self.items, self._seed or 0, epoch, shuffled
        )
        if self.drop_remainder:
            order = order[: self.steps * self.batch_size]
        if (epoch, self._start[1]) == self._start:
            order = order[self._start[1] * self.batch_size :]
        return np.stack([np.full_like(order, epoch), order], axis=-1)

    def next_pairs(self) -> np.ndarray:
        """Return the pairs of the epoch that a new iterator begins."""
        return self.pairs(self.epoch)

    def delivered(self, batch: int) -> int:
        """Count the epoch once its last batch has been handed over."""
        first = self._start[1] if self.epoch == self._start[0] else 0
        if batch + 1 == self.steps - first:
            self.epoch += 1
        return batch


def one_epoch(order: Order) -> tf.data.Dataset:
    """Pairs (epoch, item) of the epoch that an iterator begins."""

    def all_pairs(_):
        pairs = tf.numpy_function(order.next_pairs, [], tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            tf.ensure_shape(pairs, (None, 2))
        )

    return tf.data.Dataset.range(1).flat_map(all_pairs)


def endless(order: Order) -> tf.data.Dataset:
    """Pairs (epoch, item) of one epoch after the other."""

    def all_pairs(epoch):
        pairs = tf.numpy_function(order.pairs, [epoch], tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            tf.ensure_shape(pairs, (None, 2))
        )

    return tf.data.Dataset.counter(order.epoch).flat_map(all_pairs)


def counting_epochs(dataset: tf.data.Dataset, order: Order) -> tf.data.Dataset:
    """Move on to the next epoch when the last batch is taken.

    Not when an iterator is made: Keras makes one more, only to look at the
    first batch, and an epoch would be lost. Where that batch is the whole
    epoch (or two are, on JAX with a GPU, which fetches one ahead), looking
    and passing are the same, and `fit` begins with the draws of epoch 1.
    """

    def count(number, batch):
        seen = tf.numpy_function(order.delivered, [number], tf.int64)
        with tf.control_dependencies([seen]):
            return tf.nest.map_structure(tf.identity, batch)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    dataset = dataset.enumerate().map(count).with_options(options)
    if order.step == 0:
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(order.steps)
        )
    return dataset
