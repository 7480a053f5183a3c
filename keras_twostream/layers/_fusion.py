"""Fusion of the feature maps of two streams.

C. Feichtenhofer, A. Pinz, A. Zisserman: Convolutional Two-Stream Network
Fusion for Video Action Recognition. CVPR 2016, arXiv 1604.06573, section 3.1.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.errors import SpecError, check_choice

FUSIONS = ("sum", "max", "concat", "conv", "bilinear", "conv3d")
_LEARNED = ("conv", "conv3d")


@keras.saving.register_keras_serializable(package="keras_twostream")
class StackedIdentity(keras.initializers.Initializer):
    """Two identities, one above the other, times a Gaussian over the taps.

    A convolution over concatenated streams that starts as their weighted
    sum, blurred in space and time. The authors' code gives the temporal
    stream three times the weight, as its activations are that much smaller.

    Args:
        weights: Weight of the first and of the second stream.
        split: Channels of the first stream; half of them when None.
        sigma: Width of the Gaussian, in taps; the Gaussian sums to 1.
    """

    def __init__(
        self,
        weights: Sequence[float] = (0.25, 0.75),
        split: int | None = None,
        sigma: float = 1.0,
    ) -> None:
        self.weights = list(weights)
        self.split = split
        self.sigma = sigma

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        *taps, inputs, outputs = shape
        split = inputs // 2 if self.split is None else self.split
        first, second = self.weights
        stacked = np.concatenate(
            [
                first * np.eye(split, outputs),
                second * np.eye(inputs - split, outputs),
            ]
        )
        kernel = self._gaussian(taps)[..., None, None] * stacked
        return ops.convert_to_tensor(kernel, dtype=dtype or "float32")

    def _gaussian(self, taps):
        squares = np.zeros(taps)
        for axis, size in enumerate(taps):
            offsets = np.arange(size) - (size - 1) / 2
            shape = [1] * len(taps)
            shape[axis] = size
            squares = squares + offsets.reshape(shape) ** 2
        bell = np.exp(-squares / (2 * self.sigma**2))
        return bell / bell.sum()

    def get_config(self):
        return {
            "weights": self.weights,
            "split": self.split,
            "sigma": self.sigma,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class StreamFusion(keras.layers.Layer):
    """Fuse two feature maps into one, by any operator of the paper.

    A smaller map is first padded with zeros below and to the right, as the
    authors do for unequal towers.

    Args:
        method: "sum", "max", "concat", "conv" (concatenation and 1x1
            convolution), "bilinear" (outer product summed over all places,
            signed square root, L2 norm) or "conv3d" (concatenation and
            3x3x3 convolution).
        activation: Activation of the two convolutions.
        kernel_initializer: Initialiser of the two convolutions; when None,
            they start as the sum of the streams (conv), or as the authors'
            0.25 and 0.75 times a Gaussian (conv3d).

    Input shape:
        A list of two `(..., C)`; conv3d takes `(B, T, H, W, C)` only.

    Output shape:
        The shape of the first input, with 2C channels for concat;
        `(B, C * C)` for bilinear.

    Raises:
        SpecError: If the method has no such name, or cannot fuse the shapes.
    """

    def __init__(
        self,
        method: str = "conv3d",
        *,
        activation: Any = "relu",
        kernel_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("fusion", method, FUSIONS)
        self.method = method
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        _check_shapes(self.method, input_shape)
        self.kernel = self.bias = None
        if self.method not in _LEARNED:
            return
        first, second = (shape[-1] for shape in input_shape)
        taps = (3, 3, 3) if self.method == "conv3d" else ()
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*taps, first + second, first),
            initializer=self.kernel_initializer or self._default(first),
        )
        self.bias = self.add_weight(
            name="bias", shape=(first,), initializer="zeros"
        )

    def _default(self, split):
        weights = (0.25, 0.75) if self.method == "conv3d" else (1.0, 1.0)
        return StackedIdentity(weights, split)

    def call(self, maps):
        first, second = _pad_to_largest(maps)
        if self.method == "sum":
            return first + second
        if self.method == "max":
            return ops.maximum(first, second)
        if self.method == "bilinear":
            return _bilinear(first, second)
        return self._convolve(ops.concatenate([first, second], axis=-1))

    def _convolve(self, stacked):
        if self.method == "concat":
            return stacked
        if self.method == "conv":
            outputs = ops.matmul(stacked, self.kernel)
        else:
            outputs = ops.conv(
                stacked,
                self.kernel,
                padding="same",
                data_format="channels_last",
            )
        return self.activation(outputs + self.bias)

    def compute_output_shape(self, input_shape):
        first, second = (tuple(shape) for shape in input_shape)
        if self.method == "bilinear":
            return (first[0], first[-1] * second[-1])
        channels = first[-1]
        if self.method == "concat":
            channels += second[-1]
        places = _largest(first[1:-1], second[1:-1])
        return (first[0], *places, channels)

    def get_config(self):
        return {
            **super().get_config(),
            "method": self.method,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            )
            if self.kernel_initializer
            else None,
        }


def _bilinear(first, second):
    """Return second-order statistics, power and L2 normalised, in float32."""
    rows, columns = (_places(x) for x in (first, second))
    product = ops.matmul(ops.transpose(rows, (0, 2, 1)), columns)
    size = product.shape[1] * product.shape[2]
    product = ops.reshape(product, (-1, size))
    # The constants keep the gradient finite where activations are zero.
    product = ops.sign(product) * ops.sqrt(ops.abs(product) + 1e-12)
    norm = ops.sum(ops.square(product), axis=-1, keepdims=True)
    product = product / ops.sqrt(norm + 1e-12)
    return ops.cast(product, first.dtype)


def _places(x):
    """Reshape (B, ..., C) to (B, places, C)."""
    shape = ops.shape(x)
    places = math.prod(shape[1:-1])
    return ops.cast(ops.reshape(x, (-1, places, shape[-1])), "float32")


def _pad_to_largest(maps):
    known = [tuple(x.shape[1:-1]) for x in maps]
    if known[0] == known[1] and None not in known[0]:
        return maps
    shapes = [ops.shape(x)[1:-1] for x in maps]
    pairs = list(zip(*shapes, strict=True))
    largest = [_larger(*pair) for pair in pairs]
    padded = []
    for x, shape in zip(maps, shapes, strict=True):
        ends = [(0, to - size) for to, size in zip(largest, shape, strict=True)]
        padded.append(ops.pad(x, [(0, 0), *ends, (0, 0)]))
    return padded


def _larger(one, other):
    """Return the larger of two sizes, perhaps known only at run time."""
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    return ops.maximum(one, other)


def _largest(first, second):
    return tuple(
        None if None in pair else max(pair)
        for pair in zip(first, second, strict=True)
    )


def _check_shapes(method, shapes):
    first, second = shapes
    free = method in ("concat", "conv", "conv3d", "bilinear")
    if len(first) != len(second) or (not free and first[-1] != second[-1]):
        raise SpecError(
            f"{method} fusion needs two maps of the same rank, and of the "
            "same channels where it is sum or max. "
            f"Received: shapes {tuple(first)} and {tuple(second)}"
        )
    if method == "conv3d" and len(first) != 5:
        raise SpecError(
            "conv3d fusion needs maps (B, T, H, W, C): fuse at a convolution "
            f"or a pool. Received: shapes {tuple(first)} and {tuple(second)}"
        )
