"""Batches that several threads fill in place."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from keras_twostream.data.feeding.memory import Recycled, keep_freed_memory
from keras_twostream.data.feeding.reader import ClipReader
from keras_twostream.spec import ClipSpec

_AT_ONCE = 2  # batches in progress: the next begins while one ends
_TYPES = {"rgb": np.uint8, "flow": np.float32}


def read_batches(
    pairs: tf.data.Dataset, reader: ClipReader, spec: ClipSpec, workers: int
) -> tf.data.Dataset:
    """Return clips and labels of batches of pairs (epoch, item).

    Reading, decoding and resizing run in OpenCV and NumPy, without Python's
    lock, and write into the batch's memory, which becomes the tensor's.
    """
    pool, memory = ThreadPoolExecutor(workers), Recycled()
    keep_freed_memory()
    shapes = [clip_shape(spec, stream) for stream in spec.streams]
    types = [_TYPES[stream] for stream in spec.streams]

    def read(pairs: np.ndarray) -> list[np.ndarray]:
        arrays = [
            memory.array((len(pairs), *shape), dtype)
            for shape, dtype in zip(shapes, types, strict=True)
        ]

        def fill(row: int) -> np.ndarray:
            rows = [array[row] for array in arrays]
            clip = dict(zip(spec.streams, rows, strict=True))
            epoch, index = pairs[row].tolist()
            return reader.read(epoch, index, clip)

        labels = list(pool.map(fill, range(len(pairs))))
        return [*arrays, np.stack(labels)]

    def op(pairs: tf.Tensor):
        size = pairs.shape[0]
        label_type = reader.labels.dtype
        *arrays, label = tf.numpy_function(read, [pairs], [*types, label_type])
        arrays = [
            tf.ensure_shape(array, (size, *shape))
            for array, shape in zip(arrays, shapes, strict=True)
        ]
        batch = dict(zip(spec.streams, arrays, strict=True))
        return batch, tf.ensure_shape(label, (size, *reader.labels.shape[1:]))

    return pairs.map(op, num_parallel_calls=_AT_ONCE)


def clip_shape(spec: ClipSpec, stream: str) -> tuple[int, ...]:
    """Return the shape (T, H, W, C) of a stream's clip."""
    return (spec.clip_length, *spec.crop, spec.channels(stream))
