"""Networks that several threads ask at once."""

import contextlib
import threading
import weakref
from typing import Any

import keras

_locks: weakref.WeakKeyDictionary[keras.Model, Any] = (
    weakref.WeakKeyDictionary()
)


def answer(network: keras.Model, batch: Any) -> Any:
    """Return the network's outputs for a batch, as `predict_on_batch` does.

    On JAX threads take turns: Keras lends a step the memory of the variables,
    and gives them other memory after it.
    """
    with _turn(network):
        return network.predict_on_batch(batch)


def _turn(network: keras.Model) -> contextlib.AbstractContextManager:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    return _locks.setdefault(network, threading.Lock())
