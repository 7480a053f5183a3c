"""From a list of video files to batches, with flow computed on the way.

Order and draws are functions of (seed, epoch, index) alone. A resumed run
starts at (epoch, step) and sees what an undisturbed one would have seen,
without any state of an iterator being saved.
"""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream._opencv import cv2
from keras_twostream.data import (
    _augment,
    _packed_ops,
    _packed_plan,
    _sampling,
    layouts,
)
from keras_twostream.data._cpus import available_cpus
from keras_twostream.data._reader import ClipReader, frame_store
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec

PREFETCHED_BATCHES = 2


def video_dataset(
    items: Any,
    spec: ClipSpec,
    batch_size: int,
    *,
    training: bool = False,
    seed: int = 0,
    start_epoch: int = 0,
    start_step: int = 0,
    repeat: bool = False,
    sampler: str | _sampling.Sampler | None = None,
    augment: str | _augment.Draw | None = None,
    mirror: bool = True,
    colour: float = 0.0,
    flow_values: str = "scaled",
    short: str = "loop",
    drop_remainder: bool | None = None,
    workers: int | None = None,
    cache: str | os.PathLike | None = None,
    cache_bytes: int = 2 * 1024**3,
    bound: float = layouts.BOUND,
    ahead: bool = False,
) -> tf.data.Dataset:
    """Batches of clips and labels from video files.

    Each pass over the dataset is one epoch and draws new clips, so it goes
    straight into `model.fit(dataset, epochs=...)`. With `repeat=True` it has
    no end (give `fit` `steps_per_epoch`).

    A file that cannot be read is set aside with one warning that says why,
    and listed in the dataset's attribute `skipped`, {path: reason}. When
    testing, files are looked at before the first batch; in training the next
    readable file in the list stands in, so the number of batches holds.

    Videos are read in parallel, so OpenCV is set to one thread of its own.

    Args:
        items: (path, label) pairs or an `Annotations`. A label is an int, or
            a tuple of ints for several, which becomes a 0/1 vector.
        spec: The clip that the model eats: `kts.clip_spec(model)`.
        batch_size: Clips in a batch.
        training: Whether clips, crops and order are random; otherwise one
            clip per video is placed as `spec.sampling` says, cropped in the
            centre, in the order of `items`.
        seed: 0 or more; everything random depends on it.
        start_epoch: Number of the first epoch.
        start_step: Batches of the first epoch to leave out.
        repeat: Whether epochs follow each other without end. Implies
            `drop_remainder`.
        sampler: "single", "multi_stride", "dense", "segments", "whole", or
            a function (see `SAMPLERS`); None takes what the spec implies.
        augment: "multi_scale" (the default), "random", "aspect_jitter",
            "scale_jitter", "centre", or a function (see `AUGMENTATIONS`).
        mirror: Whether half of the training clips are mirrored. Turn it off
            where left and right tell classes apart.
        colour: Largest relative change of brightness, contrast and
            saturation, 0 for none. Only rgb.
        flow_values: "scaled", or "unscaled" as in the authors' code.
        short: Videos shorter than a clip "loop" or "pad".
        drop_remainder: Whether a smaller last batch is left out; by default
            in training.
        workers: Videos read at once; all processors when None.
        cache: "memory" keeps decoded frames, up to `cache_bytes`. Any other
            name is a folder: a packed cache, read where it holds a video and
            written where it does not, so that the first epoch costs what
            `keras-twostream extract` does and later ones only read.
        cache_bytes: Bytes that the cache in memory may take.
        bound: Pixels that the extreme levels mean of flow that another tool
            wrote (see `data.layouts`); those tools do not record it.
        ahead: Whether all clips of one epoch, the first, are drawn now, so
            that nothing in the dataset is Python: what `tf.data` service
            needs to run it on other machines. Every video must be packed.

    Returns:
        A dataset of ({stream: (B, T, H, W, C)}, labels): "rgb" uint8, "flow"
        float32 in pixels; labels (B,) int32 or (B, classes) float32.

    Raises:
        SpecError: If an argument is not as above, the cache was made for
            other clips, or lacks a video that is drawn ahead.
        VideoError: If no file at all can be read.

    Example:
        >>> dataset = video_dataset(items, kts.clip_spec(model), 16,
        ...                         training=True)
        >>> model.fit(dataset, epochs=30)
    """
    paths, labels = _paths_and_labels(items)
    reader = ClipReader(
        paths,
        labels,
        spec,
        training=training,
        seed=seed,
        sampler=sampler,
        augment=augment or ("multi_scale" if training else "centre"),
        mirror=mirror,
        colour=colour,
        flow_values=flow_values,
        short=short,
        store=frame_store(cache, cache_bytes, spec, paths, bound),
    )
    workers = workers or available_cpus()
    reader.set_bad_files_aside(workers, look_inside=not training)
    if drop_remainder is None:
        drop_remainder = training and len(reader) >= batch_size
    plan = _Plan(
        len(reader),
        batch_size,
        drop_remainder or repeat,
        seed if training else None,
        start_epoch,
        start_step,
    )
    _keep_off_gpu()
    cv2.setNumThreads(1)
    if ahead:
        dataset = _drawn_ahead(plan, reader, spec, workers)
    else:
        indices = _endless(plan) if repeat else _one_epoch(plan)
        dataset = _clips_of(indices, reader, spec, workers)
    dataset = dataset.batch(batch_size, drop_remainder=plan.drop_remainder)
    dataset = dataset.prefetch(PREFETCHED_BATCHES)
    if not (repeat or ahead):
        dataset = _counting_epochs(dataset, plan)
    dataset.skipped = reader.skipped
    return dataset


# === Which item comes when ===


class _Plan:
    """The order of items, and how far a dataset has come in it."""

    def __init__(
        self, items, batch_size, drop_remainder, seed, epoch, step
    ) -> None:
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

    def order(self, epoch: int) -> np.ndarray:
        """(N, 2) pairs (epoch, item) that are still to come in an epoch."""
        shuffled = self._seed is not None
        order = _sampling.epoch_order(
            self.items, self._seed or 0, epoch, shuffled
        )
        if self.drop_remainder:
            order = order[: self.steps * self.batch_size]
        if (epoch, self._start[1]) == self._start:
            order = order[self._start[1] * self.batch_size :]
        return np.stack([np.full_like(order, epoch), order], axis=-1)

    def next_order(self) -> np.ndarray:
        """The order of the epoch that a new iterator begins."""
        return self.order(self.epoch)

    def delivered(self, batch: int) -> int:
        """Counts the epoch once its last batch has been handed over."""
        first = self._start[1] if self.epoch == self._start[0] else 0
        if batch + 1 == self.steps - first:
            self.epoch += 1
        return batch


def _one_epoch(plan: _Plan) -> tf.data.Dataset:
    def pairs(_):
        order = tf.numpy_function(plan.next_order, [], tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            tf.ensure_shape(order, (None, 2))
        )

    return tf.data.Dataset.range(1).flat_map(pairs)


def _endless(plan: _Plan) -> tf.data.Dataset:
    def pairs(epoch):
        order = tf.numpy_function(plan.order, [epoch], tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            tf.ensure_shape(order, (None, 2))
        )

    return tf.data.Dataset.counter(plan.epoch).flat_map(pairs)


def _counting_epochs(dataset: tf.data.Dataset, plan: _Plan):
    """Moves on to the next epoch when the last batch is taken.

    Not when an iterator is made: Keras makes one more, only to look at the
    first batch, and an epoch would be lost.
    """

    def count(number, batch):
        seen = tf.numpy_function(plan.delivered, [number], tf.int64)
        with tf.control_dependencies([seen]):
            return tf.nest.map_structure(tf.identity, batch)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    dataset = dataset.enumerate().map(count).with_options(options)
    if plan.step == 0:
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(plan.steps)
        )
    return dataset


# === As a tf.data.Dataset ===


def _clips_of(
    indices: tf.data.Dataset, reader: ClipReader, spec: ClipSpec, workers: int
) -> tf.data.Dataset:
    """Clip and label of each (epoch, index).

    What is in a packed cache is drawn a block ahead, and never becomes an
    array in Python.
    """
    read = _clip_op(reader, spec)
    if not _packed_plan.can_plan(reader.contract, spec):
        return indices.map(read, num_parallel_calls=workers)
    ops = _packed_ops.PackedOps.of(reader, spec)

    def from_plan(plan):
        return tf.cond(
            plan["planned"],
            lambda: _shaped(ops.clip(plan), plan["label"], reader, spec),
            lambda: read(plan["pair"]),
        )

    planned = indices.batch(_packed_plan.BLOCK)
    planned = planned.map(_plan_op(reader, spec)).prefetch(1).unbatch()
    return planned.map(from_plan, num_parallel_calls=workers)


def _drawn_ahead(
    plan: "_Plan", reader: ClipReader, spec: ClipSpec, workers: int
) -> tf.data.Dataset:
    plans = None
    if _packed_plan.can_plan(reader.contract, spec):
        plans = _packed_plan.Planner(reader, spec).block(plan.next_order())
    if plans is None or not plans["planned"].all():
        raise SpecError(
            "Clips can be drawn ahead only where every video is in a packed "
            "cache, with stacking='forward'. Run `keras-twostream extract` "
            "first, and pass its folder as cache=."
        )
    ops = _packed_ops.PackedOps.of(reader, spec, in_graph=True)
    return tf.data.Dataset.from_tensor_slices(plans).map(
        lambda one: _shaped(ops.clip(one), one["label"], reader, spec),
        num_parallel_calls=workers,
    )


def _plan_op(reader: ClipReader, spec: ClipSpec):
    """A function for `Dataset.map`: (N, 2) pairs to N plans."""
    planner = _packed_plan.Planner(reader, spec)
    example = planner.empty()
    names = sorted(example)
    types = [tf.as_dtype(example[name].dtype) for name in names]
    types = [tf.string if kind.size is None else kind for kind in types]

    def values(pairs):
        block = planner.block(pairs)
        return [block[name] for name in names]

    def op(pairs):
        arrays = tf.numpy_function(values, [pairs], types)
        return {
            name: tf.ensure_shape(array, (None, *example[name].shape))
            for name, array in zip(names, arrays, strict=True)
        }

    return op


def _clip_op(reader: ClipReader, spec: ClipSpec):
    """A function for `Dataset.map`: (epoch, index) to clip and label."""
    types = {"rgb": tf.uint8, "flow": tf.float32}
    outputs = [types[stream] for stream in spec.streams]
    outputs.append(tf.as_dtype(reader.labels.dtype))

    def values(pair):
        clip, label = reader.clip(int(pair[0]), int(pair[1]))
        return [*(clip[stream] for stream in spec.streams), label]

    def op(pair):
        *arrays, label = tf.numpy_function(values, [pair], outputs)
        clip = dict(zip(spec.streams, arrays, strict=True))
        return _shaped(clip, label, reader, spec)

    return op


def _shaped(clip: dict, label: tf.Tensor, reader: ClipReader, spec: ClipSpec):
    clip = {
        stream: tf.ensure_shape(
            array, (spec.clip_length, *spec.crop, spec.channels(stream))
        )
        for stream, array in clip.items()
    }
    return clip, tf.ensure_shape(label, reader.labels.shape[1:])


def _paths_and_labels(items: Any) -> tuple[list[str], np.ndarray]:
    if hasattr(items, "paths"):
        paths, labels = items.paths, items.labels
    else:
        paths, labels = zip(*items, strict=True) if len(items) else ((), ())
    if not len(paths):
        raise SpecError("`items` must hold at least one (path, label) pair.")
    return [os.fspath(path) for path in paths], _label_array(labels, items)


def _label_array(labels: Sequence, items: Any) -> np.ndarray:
    if not any(isinstance(label, tuple | list) for label in labels):
        return np.asarray(labels, np.int32)
    several = [np.atleast_1d(np.asarray(label, int)) for label in labels]
    classes = len(getattr(items, "classes", ())) or 1 + max(
        int(each.max()) for each in several if each.size
    )
    array = np.zeros((len(several), classes), np.float32)
    for row, each in zip(array, several, strict=True):
        row[each] = 1.0
    return array


def _keep_off_gpu() -> None:
    """TensorFlow only feeds the other backends; the GPU is theirs."""
    if keras.backend.backend() == "tensorflow":
        return
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:  # the caller has used TensorFlow before us
        return
