"""A loop that compiles and can be differentiated on every backend."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def repeat(
    times: int, step: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return `state` after `times` applications of `step`.

    No single Keras loop will do: gradients through `fori_loop` fail under
    TensorFlow's XLA, and through `while_loop` on JAX.

    Args:
        times: A Python integer.
        step: Function of the state's tensors that returns the next ones, of
            the same shapes and types.
        state: Tuple of tensors.

    Returns:
        Tuple of tensors.
    """
    if keras.backend.backend() == "tensorflow":
        _, *state = ops.while_loop(
            lambda count, *_: count < times,
            lambda count, *state: (count + 1, *step(*state)),
            (0, *state),
            maximum_iterations=times,
        )
        return tuple(state)
    return ops.fori_loop(0, times, lambda _, state: step(*state), state)
