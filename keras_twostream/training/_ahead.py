"""A training step made ready before `fit` asks for it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_twostream.training._devices import has_gpu


def build_ahead(model: keras.Model, dataset: tf.data.Dataset) -> None:
    """Create the variables that the first training step would create.

    TensorFlow traces a step a second time if the first trace created a
    variable, and an optimizer creates two or three for each weight: half of
    the wait for a first step. Keras's other backends, and models on several
    devices, create them before they trace.
    """
    if not _without_strategy(model):
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


def step_alone(model: keras.Model) -> None:
    """Give a model steps that are one function of TensorFlow each.

    Keras puts a step into a second function that takes its batch from the
    input, so that TensorFlow optimises every operation twice. Here Python
    takes the batch. Models on several devices, of several steps in one call,
    or of steps that are run as written keep Keras's; a model that has trained
    since it was compiled keeps its steps, which are traced.
    """
    if not _without_strategy(model) or model.run_eagerly:
        return
    if model.train_function is not None:
        return
    if model.steps_per_execution == 1:
        model.train_function = _taking_batches(model, model.train_step)
        model.test_function = _taking_batches(model, model.test_step)


def _without_strategy(model: keras.Model) -> bool:
    """Return whether TensorFlow trains the model, without any strategy.

    A strategy of one device, too, keeps variables that only its own replica
    can update.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    with model.distribute_strategy.scope():
        return not tf.distribute.has_strategy()


def _taking_batches(model: keras.Model, step: Callable) -> Callable:
    compiled = tf.function(
        tf.autograph.experimental.do_not_convert(step),
        reduce_retracing=True,
        jit_compile=model.jit_compile,
    )
    plain = has_gpu() or model.jit_compile is True

    def function(iterator: Any) -> Any:
        batch = next(iterator)
        with contextlib.nullcontext() if plain else _as_traced():
            return compiled(batch)

    return function


@contextlib.contextmanager
def _as_traced() -> Iterator[None]:
    """Run graphs as they were traced.

    TensorFlow rewrites the graph of a step for as long as it takes to trace
    it. On a CPU a step gains nothing by it: what it would fuse, gradients read.
    """
    name = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})


def _zeros(spec: tf.TensorSpec) -> Any:
    """Return an array of one tensor's shape; one row where it is open."""
    shape = [1 if side is None else side for side in spec.shape]
    return np.zeros(shape, spec.dtype.as_numpy_dtype)
