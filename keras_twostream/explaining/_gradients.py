"""Gradients on every backend: Keras has no function for them."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Function = Callable[[Any], Any]  # from a tensor to a number


def gradient(function: Function, tensor: Any) -> Any:
    """Return the gradient of a number with respect to a tensor.

    Returns:
        A tensor of the same shape, 0 where the number does not depend on it.
    """
    gradient = _BACKENDS[keras.backend.backend()](function, tensor)
    return ops.zeros_like(tensor) if gradient is None else gradient


def _with_tensorflow(function: Function, tensor: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensor)
        number = function(tensor)
    return tape.gradient(number, tensor)


def _with_jax(function: Function, tensor: Any) -> Any:
    import jax

    return jax.grad(function)(tensor)


def _with_torch(function: Function, tensor: Any) -> Any:
    import torch

    with torch.enable_grad():
        tensor = tensor.detach().requires_grad_()
        number = function(tensor)
        if not number.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(number, tensor, allow_unused=True)
    return gradient


_BACKENDS = {
    "tensorflow": _with_tensorflow,
    "jax": _with_jax,
    "torch": _with_torch,
}
