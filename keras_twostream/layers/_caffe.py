"""Layers with Caffe's arithmetic, where Keras's give other numbers."""

import math
from typing import Any

import keras
from keras import ops

from keras_twostream.layers._pooling import max_pool


@keras.saving.register_keras_serializable(package="keras_twostream")
class CeilMaxPooling2D(keras.layers.Layer):
    """Max pooling that rounds the output size up, as Caffe does.

    The last window hangs over the bottom and right edges; nothing is padded
    before the top and left. `padding="same"` would add a row before an odd
    input, and one output too many.

    Args:
        pool_size: Side of the window.
        strides: Step of the window.

    Input shape:
        `(B, H, W, C)`

    Output shape:
        `(B, ceil((H - pool_size) / strides) + 1, ..., C)`
    """

    def __init__(
        self, pool_size: int = 3, strides: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.strides = strides

    def call(self, images):
        size, strides = (self.pool_size,) * 2, (self.strides,) * 2
        if all(map(self._is_same, images.shape[1:3])):
            # A padded copy costs time, and its -inf would be the range that an
            # int8 file has to span.
            return max_pool(images, size, strides, "same")
        ends = [(0, self._overhang(size)) for size in ops.shape(images)[1:3]]
        lowest = -math.inf if keras.backend.backend() != "torch" else -1e30
        images = ops.pad(
            images, [(0, 0), *ends, (0, 0)], constant_values=lowest
        )
        return max_pool(images, size, strides, "valid")

    def _is_same(self, size: int | None) -> bool:
        """Return whether "same" pads a known side at its end alone."""
        if size is None:
            return False
        count = -(-size // self.strides)
        padding = (count - 1) * self.strides + self.pool_size - size
        return count == self._pooled(size) and padding in (0, 1)

    def _overhang(self, size):
        # Rows that the last window lacks: 0 .. strides - 1.
        return (self.pool_size - size) % self.strides

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, self._pooled(height), self._pooled(width), channels)

    def _pooled(self, size):
        if size is None:
            return None
        return -((self.pool_size - size) // self.strides) + 1

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each channel by the energy of its neighbours.

    `x / (k + alpha / size * sum of x^2 over `size` channels)^beta`: alpha is
    divided by the window as in Caffe (Krizhevsky et al. 2012, section 3.3,
    writes it undivided).

    Args:
        size: Channels in the window, odd.
        k: Constant added.
        alpha: Scale of the energy.
        beta: Exponent.

    Input shape:
        `(..., C)`

    Output shape:
        The same.
    """

    def __init__(
        self,
        size: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def call(self, features, training=False):
        # A square overflows half precision.
        features = ops.cast(features, "float32")
        if training:
            normalized = self._with_gradient(features)
        else:
            normalized = features * self._factor(self._scale(features))
        return ops.cast(normalized, self.compute_dtype)

    def _with_gradient(self, features):
        """Return the normalised features, with a gradient written by hand.

        TensorFlow derives one from each slice of the windows, which takes a
        third of a training step.
        """

        @ops.custom_gradient
        def normalize(x):
            scale = self._scale(x)
            factor = self._factor(scale)

            # It holds no output, which would hold it in turn on PyTorch.
            def gradient(*given, upstream=None):
                above = given[0] if upstream is None else upstream
                scaled = above * factor
                shares = self._windows(scaled * x / scale)
                slope = 2 * self.beta * self.alpha / self.size
                return scaled - slope * x * shares

            return x * factor, gradient

        return normalize(features)

    def _scale(self, features):
        energy = self._windows(ops.square(features))
        return self.k + self.alpha / self.size * energy

    def _factor(self, scale):
        # TensorFlow's power goes from number to number.
        return ops.exp(-self.beta * ops.log(scale))

    def _windows(self, features):
        """Return the sum over the window around each channel."""
        channels = features.shape[-1]
        reach = self.size // 2
        pads = [(0, 0)] * (len(features.shape) - 1) + [(reach, reach)]
        padded = ops.pad(features, pads)
        return sum(
            padded[..., start : start + channels] for start in range(self.size)
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
        }
