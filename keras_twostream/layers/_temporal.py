"""Convolution through time, with initialisers that keep a 2-D net's skill.

A network trained on images becomes one that sees time when its kernels get a
temporal axis. Three ways to fill it appear in the papers: repeat and divide
(I3D, and ST-ResNet's averaging), the centre only, and the identity
(ST-multiplier).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.layers._convolutions import FlatConv


@keras.saving.register_keras_serializable(package="keras_twostream")
class AverageThroughTime(keras.initializers.Initializer):
    """A 2-D initialiser repeated through time and divided by its length.

    Feichtenhofer et al. 2016 (ST-ResNet): each of the k taps is W / k, so a
    static clip gives the 2-D response away from the clip's ends.

    Args:
        base: Initialiser of the kernel without its time axis.
    """

    def __init__(self, base: Any = "he_normal") -> None:
        self.base = keras.initializers.get(base)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        length, *spatial = shape
        kernel = self.base(tuple(spatial), dtype=dtype)
        return ops.stack([kernel / length] * length)

    def get_config(self):
        return {"base": keras.initializers.serialize(self.base)}


@keras.saving.register_keras_serializable(package="keras_twostream")
class IdentityThroughTime(keras.initializers.Initializer):
    """The identity at the centre tap, zero elsewhere.

    Feichtenhofer et al. 2017 (ST-multiplier), section 3.3: a new temporal
    layer that starts by changing nothing.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        length, height, width, inputs, outputs = shape
        centre = ops.eye(inputs, outputs, dtype=dtype)
        centre = ops.reshape(centre, (1, 1, 1, inputs, outputs))
        pads = [
            ((size - 1) // 2, size - 1 - (size - 1) // 2)
            for size in (length, height, width)
        ]
        return ops.pad(centre, (*pads, (0, 0), (0, 0)))


@keras.saving.register_keras_serializable(package="keras_twostream")
class TemporalConv(FlatConv):
    """Convolution over time with full channel mixing: a k x 1 x 1 kernel.

    The same numbers as `keras.layers.Conv3D((k, 1, 1), padding="same")`,
    whose kernel it has; computed as a 2-D convolution over (time, pixels),
    which is faster on every CPU backend.

    Args:
        filters: Output channels.
        kernel_size: k, taps through time, odd.
        use_bias: Whether to add a bias.
        kernel_initializer: Initialiser of the `(k, 1, 1, in, out)` kernel.
        **kwargs: Keras's own, such as `name`.

    Input shape:
        `(B, T, H, W, C)`

    Output shape:
        `(B, T, H, W, filters)`
    """

    def build(self, input_shape):
        self.add_kernel((self.kernel_size, 1, 1), input_shape[-1])

    def call(self, clip):
        batch, time, height, width, channels = ops.shape(clip)
        pixels = ops.reshape(clip, (batch, time, height * width, channels))
        outputs = ops.conv(
            pixels,
            self.kernel[:, :, 0],
            padding="same",
            data_format="channels_last",
        )
        if self.bias is not None:
            outputs = outputs + self.bias
        shape = (batch, time, height, width, self.filters)
        return ops.reshape(outputs, shape)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)
