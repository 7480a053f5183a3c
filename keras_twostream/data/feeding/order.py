"""The order of a data set's items in each epoch."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_twostream.data.cutting import placement
from keras_twostream.errors import SpecError

_TURN = 2**32  # more than a run has epochs


class Order:
    """The order of items, and a dataset's position in it.

    Args:
        items: Number of items.
        batch_size: Items in a batch.
        drop_remainder: Whether to drop a smaller last batch.
        seed: Seed of the order; None keeps that of the list.
        epoch: Number of the first epoch.
        step: Batches of the first epoch to skip.
        kinds: Class of each item, to draw as many of each; None for every
            item once.

    Raises:
        SpecError: If there is no batch, or no such step.
    """

    def __init__(
        self,
        items: int,
        batch_size: int,
        drop_remainder: bool,
        seed: int | None,
        epoch: int,
        step: int,
        kinds: np.ndarray | None = None,
    ) -> None:
        self.items, self.batch_size = items, batch_size
        self.drop_remainder = drop_remainder
        self.steps = items // batch_size
        if not drop_remainder:
            self.steps = -(-items // batch_size)
        if self.steps == 0:
            raise SpecError(
                f"{items} readable videos do not fill one batch of "
                f"batch_size={batch_size}. Make it smaller; in Python, "
                "drop_remainder=False keeps a smaller last batch, too."
            )
        if not 0 <= step < self.steps:
            raise SpecError(
                f"`start_step` must lie in 0..{self.steps - 1}. "
                f"Received: start_step={step}"
            )
        self._seed, self.epoch, self.step = seed, epoch, step
        self._kinds = kinds
        self._start = (epoch, step)

    def pairs(self, epoch: int) -> np.ndarray:
        """Return the remaining (N, 2) pairs (epoch, item) of an epoch.

        An item that comes again has another number of the epoch, far from
        any other, so that its clip is another one, too.
        """
        order, turns = self._items(epoch)
        first, last = 0, None
        if self.drop_remainder:
            last = self.steps * self.batch_size
        if (epoch, self._start[1]) == self._start:
            first = self._start[1] * self.batch_size
        pairs = np.stack([epoch + turns * _TURN, order], axis=-1)
        return pairs[first:last]

    def _items(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an epoch's items, and how often each came before."""
        seed, shuffled = self._seed or 0, self._seed is not None
        if self._kinds is not None:
            return placement.even_order(self._kinds, seed, epoch)
        order = placement.epoch_order(self.items, seed, epoch, shuffled)
        return order, np.zeros_like(order)

    def next_pairs(self) -> np.ndarray:
        """Return the pairs of the epoch that a new iterator starts."""
        return self.pairs(self.epoch)

    def delivered(self, batch: int) -> int:
        """Count the epoch once its last batch has been handed over."""
        first = self._start[1] if self.epoch == self._start[0] else 0
        if batch + 1 == self.steps - first:
            self.epoch += 1
        return batch


def one_epoch(order: Order) -> tf.data.Dataset:
    """Return a dataset of the pairs (epoch, item) of one epoch."""

    epochs = tf.data.Dataset.range(1)
    return epochs.flat_map(lambda _: _pairs_from(order.next_pairs))


def endless(order: Order) -> tf.data.Dataset:
    """Return a dataset of the pairs (epoch, item) of successive epochs."""

    epochs = tf.data.Dataset.counter(order.epoch)
    return epochs.flat_map(lambda epoch: _pairs_from(order.pairs, epoch))


def _pairs_from(
    function: Callable[..., np.ndarray], *epoch: tf.Tensor
) -> tf.data.Dataset:
    pairs = tf.numpy_function(function, epoch, tf.int64)
    return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(pairs, (None, 2)))


def counting_epochs(dataset: tf.data.Dataset, order: Order) -> tf.data.Dataset:
    """Count an epoch of a dataset when its last batch is taken.

    Counting iterators instead would lose an epoch, because Keras makes one
    more only to look at the first batch. Where that batch is the whole epoch
    (or two batches are, on JAX with a GPU, which fetches one ahead), the look
    counts as an epoch, and `fit` begins with the draws of epoch 1.
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
