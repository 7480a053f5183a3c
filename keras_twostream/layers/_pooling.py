"""Max pooling that trains fast on every backend.

XLA scatters the gradient of a window's maximum, at a cost above that of the
convolutions around it. On JAX the maximum is therefore taken over shifted
views of the input, one axis after the other: the same numbers, and a gradient
of element-wise operations (where two are the largest, each gets half).

TensorFlow pools a volume on a CPU at half the speed of planes, and LiteRT does
not know it. There space is pooled first, and time then.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def max_pool(
    x: Any,
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
):
    """Return the maximum of every window.

    Args:
        x: `(B, *places, C)`.
        size: Size of the window along each axis of places.
        strides: Step of the window along each axis of places.
        padding: "valid" or "same".

    Returns:
        `(B, *places, C)`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        for axis, length in enumerate(size, 1):
            x = _along(x, axis, length, strides[axis - 1], padding)
        return x
    if backend == "tensorflow" and len(size) == 3:
        return _space_then_time(x, size, strides, padding)
    return _pool(x, size, strides, padding)


def _space_then_time(
    x, size: Sequence[int], strides: Sequence[int], padding: str
):
    _, steps, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (-1, height, width, channels))
    x = _pool(x, size[1:], strides[1:], padding)
    _, height, width, _ = ops.shape(x)
    if size[0] != 1 or strides[0] != 1:
        x = ops.reshape(x, (-1, steps, height * width, channels))
        x = _pool(x, (size[0], 1), (strides[0], 1), padding)
        steps = ops.shape(x)[1]
    return ops.reshape(x, (-1, steps, height, width, channels))


def _pool(x, size: Sequence[int], strides: Sequence[int], padding: str):
    return ops.max_pool(
        x, tuple(size), tuple(strides), padding, "channels_last"
    )


def _along(x, axis: int, length: int, stride: int, padding: str):
    if length == stride == 1:
        return x
    if padding == "same":
        x = _padded(x, axis, length, stride)
    last = (x.shape[axis] - length) // stride * stride
    before = (slice(None),) * axis
    views = [
        x[*before, slice(start, start + last + 1, stride)]
        for start in range(length)
    ]
    return functools.reduce(ops.maximum, views)


def _padded(x, axis: int, length: int, stride: int):
    """Pad an axis as "same" does, with the odd place at the end."""
    places = x.shape[axis]
    total = max((-(-places // stride) - 1) * stride + length - places, 0)
    pads = [(0, 0)] * len(x.shape)
    pads[axis] = (total // 2, total - total // 2)
    return ops.pad(x, pads, constant_values=float("-inf"))


class _ChannelsLast:
    """The changes that both layers make to Keras's."""

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        **kwargs: Any,
    ) -> None:
        kwargs |= {
            "pool_size": pool_size,
            "strides": strides,
            "padding": padding,
            "data_format": "channels_last",
        }
        super().__init__(**kwargs)

    def call(self, inputs):
        return max_pool(inputs, self.pool_size, self.strides, self.padding)


@keras.saving.register_keras_serializable(package="keras_twostream")
class MaxPooling2D(_ChannelsLast, keras.layers.MaxPooling2D):
    """Max pooling over space: Keras's layer, with a gradient fast on JAX.

    Args:
        pool_size: Size of the window.
        strides: Step of the window; its size when None.
        padding: "valid" or "same".

    Input shape:
        `(B, H, W, C)`

    Output shape:
        `(B, H', W', C)`
    """


@keras.saving.register_keras_serializable(package="keras_twostream")
class MaxPooling3D(_ChannelsLast, keras.layers.MaxPooling3D):
    """Max pooling over time and space: Keras's layer, fast on every backend.

    Args:
        pool_size: Size of the window.
        strides: Step of the window; its size when None.
        padding: "valid" or "same".

    Input shape:
        `(B, T, H, W, C)`

    Output shape:
        `(B, T', H', W', C)`
    """
