"""Variables of a training step, created before it is traced."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def build_ahead(model: keras.Model, dataset: tf.data.Dataset) -> None:
    """Create the variables that the first training step would create.

    TensorFlow traces a step a second time if the first trace created a
    variable, and an optimizer creates two or three for each weight: half of
    the wait for a first step. Keras's other backends, and models on several
    devices, create them before they trace.

    Args:
        model: A compiled model.
        dataset: A dataset of (clips, labels) or (clips, labels, weights).
    """
    if keras.backend.backend() != "tensorflow":
        return
    if model.distribute_strategy.num_replicas_in_sync > 1:
        return
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    _, *rest = keras.tree.map_structure(_zeros, dataset.element_spec)
    labels, weights = (*rest, None)[:2]
    rows = len(keras.tree.flatten(labels)[0])
    scores = keras.tree.map_structure(
        lambda output: tf.zeros((rows, *output.shape[1:]), output.dtype),
        model.output,
    )
    model.compute_loss(y=labels, y_pred=scores, sample_weight=weights)
    model.compute_metrics(None, labels, scores, weights)
    model.reset_metrics()


def _zeros(spec: tf.TensorSpec) -> Any:
    """Return an array of one tensor's shape; one row where it is open."""
    shape = [1 if side is None else side for side in spec.shape]
    return np.zeros(shape, spec.dtype.as_numpy_dtype)
