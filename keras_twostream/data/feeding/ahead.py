"""An epoch drawn before it begins, for `tf.data` service.

Workers on other machines have TensorFlow and the packed files, and no Python
of ours: a plan of numbers says what to read, and ops do the rest.
"""

import numpy as np
import tensorflow as tf

from keras_twostream.data.feeding.batching import clip_shape
from keras_twostream.data.feeding.packed_ops import PackedOps
from keras_twostream.data.feeding.packed_plan import Planner, can_plan
from keras_twostream.data.feeding.reader import ClipReader
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec


def drawn_ahead(
    pairs: np.ndarray, reader: ClipReader, spec: ClipSpec, workers: int
) -> tf.data.Dataset:
    """Clips and labels of (N, 2) pairs (epoch, item), without any Python.

    Raises:
        SpecError: If a clip needs Python.
    """
    plans = None
    if can_plan(reader.contract, spec):
        plans = Planner(reader, spec).block(pairs)
    if plans is None or not plans["planned"].all():
        raise SpecError(
            "Clips can be drawn ahead only where every video is in a packed "
            "cache, with stacking='forward'. Run `keras-twostream extract` "
            "first, and pass its folder as cache=."
        )
    ops = PackedOps.of(reader, spec)
    shapes = {stream: clip_shape(spec, stream) for stream in spec.streams}

    def read(one):
        clip = {
            stream: tf.ensure_shape(array, shapes[stream])
            for stream, array in ops.clip(one).items()
        }
        return clip, one["label"]

    dataset = tf.data.Dataset.from_tensor_slices(plans)
    return dataset.map(read, num_parallel_calls=workers)
