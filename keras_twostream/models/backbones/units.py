"""Parts of the towers: convolutions and pools with Caffe's padding.

Caffe and PyTorch pad both sides alike; `padding="same"` pads the far side
more when it strides, which shifts every feature by a pixel. Averages over a
padded window count the padding there, and not in `padding="same"`.
"""

from typing import Any

from keras import KerasTensor, layers

from keras_twostream.layers import (
    BatchNormalization,
    MaxPooling2D,
    SlidingDense,
)


def conv(
    x: KerasTensor,
    name: str,
    filters: int,
    size: int | tuple[int, int],
    stride: int = 1,
    pad: int | tuple[int, int] | str = "same",
    *,
    activation: str | None = "relu",
    use_bias: bool = True,
    # He's variance; a truncated normal takes four times as long to draw.
    kernel_initializer: Any = "he_uniform",
    bias_initializer: Any = "zeros",
):
    """A convolution, padded by `pad` on all sides, and its ReLU."""
    if pad == "same" and stride > 1:
        height, width = (size, size) if isinstance(size, int) else size
        pad = height // 2, width // 2
    if pad not in ("same", 0):
        x = layers.ZeroPadding2D(
            pad, data_format="channels_last", name=f"{name}_pad"
        )(x)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same" if pad == "same" else "valid",
        activation=activation,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        bias_initializer=bias_initializer,
        data_format="channels_last",
        name=name,
    )(x)


def conv_bn(
    x: KerasTensor,
    name: str,
    filters: int,
    size: int | tuple[int, int],
    stride: int = 1,
    pad: int | str = "same",
    *,
    epsilon: float,
    use_bias: bool = False,
):
    """Convolution, batch normalisation ("_bn") and ReLU ("_relu")."""
    x = conv(
        x, name, filters, size, stride, pad, activation=None, use_bias=use_bias
    )
    x = BatchNormalization(
        axis=-1, momentum=0.9, epsilon=epsilon, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def max_pool(
    x: KerasTensor, name: str, size: int, stride: int, padding: str = "valid"
):
    """Max pooling that drops an incomplete last window."""
    return MaxPooling2D(size, stride, padding, name=name)(x)


def average_pool(x: KerasTensor, name: str, count_padding: bool = True):
    """3x3 average at stride 1; as in Caffe, its zero padding counts.

    TensorFlow, and so keras.applications, divides by the pixels inside.
    """
    if count_padding:
        x = layers.ZeroPadding2D(
            1, data_format="channels_last", name=f"{name}_pad"
        )(x)
    return layers.AveragePooling2D(
        3,
        strides=1,
        padding="valid" if count_padding else "same",
        data_format="channels_last",
        name=name,
    )(x)


def global_average(x: KerasTensor, name: str):
    """The mean over all pixels."""
    return layers.GlobalAveragePooling2D(
        data_format="channels_last", name=name
    )(x)


def concat(branches: list, name: str):
    """Branches side by side on the channel axis."""
    return layers.Concatenate(axis=-1, name=name)(branches)


def sliding_dense(
    x: KerasTensor, name: str, units: int, window: tuple[int, int]
):
    """A fully connected layer on each window of a map, and its ReLU."""
    return SlidingDense(units, window, activation="relu", name=name)(x)


def flatten(x: KerasTensor, name: str):
    """(B, H, W, C) to (B, H * W * C)."""
    return layers.Flatten(data_format="channels_last", name=name)(x)


def dense(
    x: KerasTensor,
    name: str,
    units: int,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
):
    """A fully connected layer and its ReLU."""
    return layers.Dense(
        units,
        activation="relu",
        kernel_initializer=kernel_initializer,
        bias_initializer=bias_initializer,
        name=name,
    )(x)


def dropout(x: KerasTensor, name: str, rate: float):
    """Dropout at a rate of 0..1, in training only."""
    return layers.Dropout(rate, name=name)(x)
