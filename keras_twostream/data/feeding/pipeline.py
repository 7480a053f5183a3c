"""Batches from a list of video files, with flow computed on demand.

Order and draws are functions of (seed, epoch, index) alone. A resumed run
starts at (epoch, step) and sees what an undisturbed one would have seen,
without any state of an iterator being saved.
"""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream._cpus import available_cpus
from keras_twostream._opencv import cv2
from keras_twostream.data import layouts
from keras_twostream.data.cutting import augmentation, placement
from keras_twostream.data.feeding.batching import read_batches
from keras_twostream.data.feeding.order import (
    Order,
    counting_epochs,
    endless,
    one_epoch,
)
from keras_twostream.data.feeding.reader import ClipReader
from keras_twostream.data.feeding.stores import frame_store
from keras_twostream.data.lists.annotations import Annotations, as_pairs
from keras_twostream.data.lists.labels import label_array
from keras_twostream.errors import SpecError, check_count
from keras_twostream.spec import ClipSpec

PREFETCHED_BATCHES = 2
_CALL = "video_dataset(items, spec, batch_size)"
# What Keras says of every tf.data.Dataset in `fit`, unless told not to shuffle.
_OF_KERAS = "`shuffle=True` was passed, but will be ignored"


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
    sampler: str | placement.Sampler | None = None,
    augment: str | augmentation.Draw | None = None,
    mirror: bool = True,
    colour: float = 0.0,
    flow_values: str = "scaled",
    short: str = "loop",
    even_classes: bool | Sequence[int] = False,
    drop_remainder: bool | None = None,
    workers: int | None = None,
    cache: str | os.PathLike | None = None,
    cache_bytes: int = 2 * 1024**3,
    bound: float = layouts.BOUND,
    num_classes: int | None = None,
) -> tf.data.Dataset:
    """Return batches of clips and labels from video files.

    Each pass over the dataset is one epoch and draws new clips, so it goes
    straight into `model.fit(dataset, epochs=...)`. With `repeat=True` it has
    no end (give `fit` `steps_per_epoch`).

    A file that cannot be read is set aside with one warning that says why,
    and listed in the dataset's attribute `skipped`, {path: reason}. When
    testing, files are looked at before the first batch; in training the next
    readable file in the list stands in, so the number of batches holds.

    Videos are read in parallel, so OpenCV is set to one thread of its own.

    Args:
        items: (path, label) pairs or an `Annotations`. A label is an int
            from 0, -1 where it is not known, or a tuple of ints for several,
            which becomes a 0/1 vector.
        spec: The model's clip: `kts.clip_spec(model)`.
        batch_size: Clips in a batch.
        training: Whether clips, crops and order are random; otherwise one
            clip per video is placed by `spec.sampling` and cropped in the
            centre, in the order of `items`.
        seed: 0 or more; everything random depends on it.
        start_epoch: Number of the first epoch.
        start_step: Number of batches of the first epoch to skip.
        repeat: Whether to repeat epochs without end. Implies
            `drop_remainder`.
        sampler: "single", "multi_stride", "dense", "segments", "whole", or
            a function (see `SAMPLERS`); the spec's sampler when None.
        augment: "multi_scale" (the default), "random", "aspect_jitter",
            "scale_jitter", "centre", or a function (see `AUGMENTATIONS`).
        mirror: Whether to mirror half of the training clips. Turn it off
            where left and right distinguish classes.
        colour: Largest relative change of brightness, contrast and
            saturation, 0 for none. Applies to rgb only.
        flow_values: "scaled", or "unscaled" as in the authors' code.
        short: Extension of a video shorter than a clip, "loop" or "pad".
        even_classes: Whether training draws a class first and then one of its
            videos, so that each class has its share, rather than every video
            once in an epoch; or the class of each label, where labels are
            numbers of videos.
        drop_remainder: Whether to drop a smaller last batch; by default only
            in training.
        workers: Number of videos read at once; all processors when None.
        cache: "memory" keeps decoded frames, up to `cache_bytes`. Any other
            name is a folder: a packed cache, read where it holds a video and
            written where it does not, so that the first epoch takes as long
            as `keras-twostream extract`, and later ones only read.
        cache_bytes: Size limit of the cache in memory, in bytes.
        bound: Displacement in pixels at the extreme levels of another tool's
            flow (see `data.layouts`); those tools do not record it.
        num_classes: Number of the model's classes: the length of 0/1 vectors
            and the upper limit of labels. By default taken from `items`.

    Returns:
        A dataset of ({stream: (B, T, H, W, C)}, labels): "rgb" uint8, "flow"
        float32 in pixels; labels (B,) int32 or (B, classes) float32.

    Raises:
        SpecError: If an argument is invalid, a label is below -1 or beyond
            `num_classes`, the list numbers its classes otherwise than the
            model of the spec, or the cache was made for other clips.
        VideoError: If no file can be read.

    Example:
        >>> dataset = video_dataset(items, kts.clip_spec(model), 16,
        ...                         training=True)
        >>> model.fit(dataset, epochs=30)
    """
    warnings.filterwarnings("ignore", _OF_KERAS, UserWarning)
    _check_arguments(items, spec, batch_size)
    _refuse_other_numbers(items, spec)
    paths, labels = _paths_and_labels(items, num_classes)
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
    order = Order(
        len(reader),
        batch_size,
        drop_remainder or repeat,
        seed if training else None,
        start_epoch,
        start_step,
        _kinds(reader.labels, even_classes) if training else None,
    )
    _keep_off_gpu()
    cv2.setNumThreads(1)
    pairs = endless(order) if repeat else one_epoch(order)
    pairs = pairs.batch(batch_size, drop_remainder=order.drop_remainder)
    dataset = read_batches(pairs, reader, spec, workers)
    dataset = dataset.prefetch(PREFETCHED_BATCHES)
    if not repeat:
        dataset = counting_epochs(dataset, order)
    dataset.skipped = reader.skipped
    return dataset


def _refuse_other_numbers(items: Any, spec: ClipSpec) -> None:
    """Refuse a list whose labels mean other classes of the spec's model."""
    if not isinstance(items, Annotations):
        return
    try:
        same = items.in_order_of(spec.classes).labels == items.labels
        reason = "The list numbers its classes otherwise than the model."
    except SpecError as error:
        same, reason = False, str(error)
    if not same:
        raise SpecError(
            f"{reason} Its labels would be taken for other classes: load the "
            "network with `classes=annotations.classes` for a head of its "
            "own, or number the list as the model does, "
            "`annotations.in_order_of(spec.classes)`. Where another network "
            "gets the clips, give `annotations.pairs()`."
        )


def _paths_and_labels(
    items: Any, num_classes: int | None
) -> tuple[list[str], np.ndarray]:
    pairs = as_pairs(items, _CALL)
    paths, labels = [path for path, _ in pairs], [label for _, label in pairs]
    classes = num_classes or len(getattr(items, "classes", ()))
    return paths, label_array(paths, labels, classes)


def _kinds(
    labels: np.ndarray, even_classes: bool | Sequence[int]
) -> np.ndarray | None:
    """Return the class of each video, if as many of each are to be drawn."""
    if isinstance(even_classes, bool):
        return labels if even_classes else None
    return np.asarray(even_classes)[labels]


def _check_arguments(items: Any, spec: Any, batch_size: Any) -> None:
    """Refuse arguments that are swapped or of the wrong type."""
    if isinstance(items, ClipSpec):
        raise SpecError(f"`items` comes before `spec`: {_CALL}.")
    if isinstance(spec, keras.Model):
        raise SpecError(
            "`spec` is a model. Pass the clip that it takes: "
            "video_dataset(items, kts.clip_spec(model), batch_size)."
        )
    if not isinstance(spec, ClipSpec):
        raise SpecError(
            f"`spec` must be a ClipSpec: {_CALL}. Received: spec={spec!r}"
        )
    check_count("batch_size", batch_size)


def _keep_off_gpu() -> None:
    """Keep TensorFlow off the GPU where it only feeds another backend."""
    if keras.backend.backend() == "tensorflow":
        return
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:  # the caller has used TensorFlow before us
        return
