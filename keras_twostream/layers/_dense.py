"""A dense layer that slides over maps larger than those it was trained on."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_twostream")
class SlidingDense(keras.layers.Layer):
    """A dense layer on each window of a map, as a convolution of its size.

    On maps of the window's size it is `Flatten` and `Dense`, whose kernel it
    has; on larger ones it gives an answer for each place, so that a network
    that ends in dense layers sees whole frames (Sermanet et al. 2014;
    Simonyan & Zisserman 2015, section 3.2).

    Args:
        units: Outputs for each window.
        window: (height, width) of the maps it is trained on.
        activation: Applied to the output.
        kernel_initializer: Initialiser of the kernel,
            `(height * width * C, units)`.
        bias_initializer: Initialiser of the bias.

    Input shape:
        `(B, H, W, C)`, no smaller than the window.

    Output shape:
        `(B, H - height + 1, W - width + 1, units)`
    """

    def __init__(
        self,
        units: int,
        window: Sequence[int],
        *,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.window = tuple(window)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        height, width = self.window
        self.kernel = self.add_weight(
            name="kernel",
            shape=(height * width * input_shape[-1], self.units),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer=self.bias_initializer
        )

    def call(self, maps):
        slide = self._multiply
        if tuple(maps.shape[1:3]) != self.window:
            slide = self._convolve
        return self.activation(slide(maps) + self.bias)

    def _multiply(self, maps):
        rows = ops.reshape(maps, (-1, self.kernel.shape[0]))
        outputs = ops.matmul(rows, self.kernel)
        return ops.reshape(outputs, (-1, 1, 1, self.units))

    def _convolve(self, maps):
        shape = (*self.window, maps.shape[-1], self.units)
        kernel = ops.reshape(self.kernel, shape)
        return ops.conv(
            maps, kernel, padding="valid", data_format="channels_last"
        )

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        places = [
            None if side is None else side - size + 1
            for side, size in zip(sides, self.window, strict=True)
        ]
        return (batch, *places, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "window": self.window,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }
