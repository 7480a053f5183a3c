"""A measured choice between steps with and without XLA."""

import time
from typing import Any

import keras
import numpy as np

from keras_twostream.inspection import clip_spec

TIMED_STEPS = 3


def faster_with_xla(
    model: keras.Model, batch_size: int = 4, multi_label: bool = False
) -> bool:
    """Time one evaluation step with and without XLA; keep the weights.

    Returns:
        True if XLA was faster; False also where it cannot compile the model.
    """
    if keras.backend.backend() == "jax":
        return True
    batch = _clips(model, batch_size), _labels(model, batch_size, multi_label)
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
        if not model.jit_compile:
            raise
        return float("inf")
    start = time.perf_counter()
    for _ in range(TIMED_STEPS):
        model.test_on_batch(*batch)
    return time.perf_counter() - start


def _clips(model: keras.Model, batch_size: int) -> dict[str, np.ndarray]:
    spec = clip_spec(model)
    shape = (batch_size, spec.clip_length, *spec.crop)
    return {
        stream: np.zeros((*shape, spec.channels(stream)), "float32")
        for stream in spec.streams
    }


def _labels(model: keras.Model, batch_size: int, multi_label: bool) -> Any:
    def one(output: Any) -> np.ndarray:
        if multi_label:
            return np.zeros((batch_size, output.shape[-1]), "float32")
        return np.zeros((batch_size,), "int32")

    return keras.tree.map_structure(one, model.output)
