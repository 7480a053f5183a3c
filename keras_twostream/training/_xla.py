"""Whether XLA is worth its while, by measurement."""

import time

import keras
import numpy as np

from keras_twostream.inspection import clip_spec

TIMED_STEPS = 3


def faster_with_xla(model: keras.Model, batch_size: int = 4) -> bool:
    """Times one evaluation step with and without XLA; weights stay as is.

    Args:
        model: A compiled model of this library.
        batch_size: Clips in the step.

    Returns:
        Whether XLA was faster; False where it cannot compile the model.
    """
    if keras.backend.backend() == "jax":
        return True
    batch = _random_clips(model, batch_size)
    before = model.jit_compile
    times = {}
    for jit in (False, True):
        model.jit_compile = jit
        model.make_test_function(force=True)
        times[jit] = _seconds(model, batch)
    model.jit_compile = before
    model.make_test_function(force=True)
    model.reset_metrics()
    return times[True] < times[False]


def _seconds(model: keras.Model, batch: tuple) -> float:
    try:
        model.test_on_batch(*batch)
    except Exception:  # each backend has its own compiler errors
        return float("inf")
    start = time.perf_counter()
    for _ in range(TIMED_STEPS):
        model.test_on_batch(*batch)
    return time.perf_counter() - start


def _random_clips(model: keras.Model, batch_size: int) -> tuple:
    spec = clip_spec(model)
    shape = (batch_size, spec.clip_length, *spec.crop)
    clips = {
        stream: np.zeros((*shape, spec.channels(stream)), "float32")
        for stream in spec.streams
    }
    labels = np.zeros((batch_size,), "int32")
    if isinstance(model.output, dict):
        return clips, {name: labels for name in model.output}
    return clips, labels
