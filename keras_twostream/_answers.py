"""The outputs of networks that several threads may ask at once."""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

_steps: weakref.WeakKeyDictionary[keras.Model, Callable[..., Any]] = (
    weakref.WeakKeyDictionary()
)


def answer(network: keras.Model, batch: Any) -> Any:
    """Return the network's outputs for a batch, as `predict_on_batch` does.

    On JAX that lends the memory of the variables to its step, and gives them
    other memory after it: another thread, and any network that shares them,
    finds them deleted. Here they stay.
    """
    if keras.backend.backend() != "jax":
        return network.predict_on_batch(batch)
    step = _steps.get(network) or _steps.setdefault(network, _step(network))
    trained = [variable.value for variable in network.trainable_variables]
    others = [v.value for v in network.non_trainable_variables]
    return keras.tree.map_structure(np.array, step(trained, others, batch))


def _step(network: keras.Model) -> Callable[..., Any]:
    import jax

    # A step that held the network would keep it for ever.
    kept: Callable[[], Any] = weakref.ref(network)

    @jax.jit
    def step(trained: Any, others: Any, batch: Any) -> Any:
        outputs, _ = kept().stateless_call(
            trained, others, batch, training=False
        )
        return outputs

    return step
