"""Convolutions that Keras lacks, or computes slowly: grouped and flat ones."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_twostream")
class GroupedConv2D(keras.layers.Layer):
    """Convolution in groups that do not see each other's channels.

    The kernel and the numbers are those of `keras.layers.Conv2D(groups=...)`,
    whose gradient on a CPU under TensorFlow is about five times slower
    (measured: 2.8 s against 0.6 s for AlexNet's second layer).

    Args:
        filters: Output channels, a multiple of `groups`.
        kernel_size: Side of the kernel.
        groups: Groups of channels.
        strides: Step of the kernel.
        padding: "valid" or "same".
        activation: Applied to the output.
        kernel_initializer: Initialiser of the kernel,
            `(k, k, in / groups, filters)`.
        bias_initializer: Initialiser of the bias.

    Input shape:
        `(B, H, W, C)`, C a multiple of `groups`.

    Output shape:
        `(B, H', W', filters)`
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        groups: int,
        *,
        strides: int = 1,
        padding: str = "valid",
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.groups = groups
        self.strides = strides
        self.padding = padding
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        side = self.kernel_size
        channels = input_shape[-1] // self.groups
        self.kernel = self.add_weight(
            name="kernel",
            shape=(side, side, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.filters,),
            initializer=self.bias_initializer,
        )

    def call(self, images):
        groups = zip(
            ops.split(images, self.groups, axis=-1),
            ops.split(ops.convert_to_tensor(self.kernel), self.groups, axis=-1),
            strict=True,
        )
        outputs = [self._convolve(image, kernel) for image, kernel in groups]
        return self.activation(ops.concatenate(outputs, axis=-1) + self.bias)

    def _convolve(self, images, kernel):
        return ops.conv(
            images, kernel, self.strides, self.padding, "channels_last"
        )

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, self._steps(height), self._steps(width), self.filters)

    def _steps(self, size):
        if size is None:
            return None
        reach = self.kernel_size - 1 if self.padding == "valid" else 0
        return -((reach - size) // self.strides)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "groups": self.groups,
            "strides": self.strides,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }


class FlatConv(keras.layers.Layer):
    """A 3-D convolution of a flat kernel, for layers that compute it in 2-D.

    Args:
        filters: Output channels.
        kernel_size: k, odd.
        use_bias: Whether to add a bias.
        kernel_initializer: Initialiser of the kernel.
        **kwargs: Keras's own, such as `name`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        use_bias: bool = False,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def add_kernel(self, sides: tuple[int, int, int], channels: int) -> None:
        """Add a kernel over time, height and width, and a bias if wanted."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*sides, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class SpatialConv(FlatConv):
    """Convolution of each frame on its own: a 1 x k x k kernel.

    The same numbers as `keras.layers.Conv3D((1, k, k))` after a symmetric
    padding of k // 2; computed as a 2-D convolution, whose gradient is twice
    as fast on a CPU.

    Args:
        filters: Output channels.
        kernel_size: k, odd.
        strides: Step through height and width.
        **kwargs: `use_bias`, False by default; `kernel_initializer` of the
            `(1, k, k, in, out)` kernel, He et al.'s by default; and Keras's
            own, such as `name`.

    Input shape:
        `(B, T, H, W, C)`

    Output shape:
        `(B, T, ceil(H / strides), ceil(W / strides), filters)`
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.strides = strides

    def build(self, input_shape):
        side = self.kernel_size
        self.add_kernel((1, side, side), input_shape[-1])

    def call(self, clip):
        _, time, height, width, channels = ops.shape(clip)
        frames = ops.reshape(clip, (-1, height, width, channels))
        reach = self.kernel_size // 2
        frames = ops.pad(frames, [(0, 0), *[(reach, reach)] * 2, (0, 0)])
        frames = ops.conv(
            frames, self.kernel[0], self.strides, "valid", "channels_last"
        )
        if self.bias is not None:
            frames = frames + self.bias
        return ops.reshape(frames, (-1, time, *ops.shape(frames)[1:]))

    def compute_output_shape(self, input_shape):
        batch, time, *sides, _ = input_shape
        sides = [side and -(-side // self.strides) for side in sides]
        return (batch, time, *sides, self.filters)

    def get_config(self):
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable(package="keras_twostream")
class ChannelPermutation(keras.layers.Layer):
    """Reorder and mix channels by a learned matrix, at first the identity.

    The permutation P of FstCN's transformation-and-permutation operator
    (Sun et al. 2015, section 3.1).

    Input shape:
        `(..., C)`

    Output shape:
        The same.
    """

    def build(self, input_shape):
        self.permutation = self.add_weight(
            name="permutation",
            shape=(input_shape[-1], input_shape[-1]),
            initializer="identity",
        )

    def call(self, features):
        return ops.matmul(features, self.permutation)

    def compute_output_shape(self, input_shape):
        return input_shape
