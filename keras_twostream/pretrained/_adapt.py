"""Adaptation of image weights to video weights, array by array.

Kernels are in Keras's layout: (height, width, inputs, outputs), with time in
front where there is time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twostream.errors import WeightsError, check_choice

INFLATIONS = ("average", "centre", "identity")
CROSSINGS = ("mean", "tile", "cyclic")


def inflate(kernel: np.ndarray, time: int, how: str = "average") -> np.ndarray:
    """Return a 2-D kernel inflated with a time axis.

    A clip without motion then gets the 2-D network's response, except at the
    clip's ends for "average".

    Args:
        kernel: (height, width, inputs, outputs).
        time: Number of taps through time.
        how: "average" repeats the kernel and divides by `time` (I3D,
            Carreira & Zisserman 2017, section 2.4; ST-ResNet, Feichtenhofer
            et al. 2016, section 3.2). "centre" puts it on the middle tap,
            zeros elsewhere. "identity" is for new layers that must change
            nothing at first (ST-multiplier, Feichtenhofer et al. 2017,
            section 3.3): the kernel gives only the shape.

    Returns:
        (time, height, width, inputs, outputs).

    Raises:
        WeightsError: If `how` or the shape is none of these.
    """
    check_choice("how", how, INFLATIONS, WeightsError)
    if kernel.ndim != 4 or time < 1:
        raise WeightsError(
            "`inflate` takes a kernel (height, width, inputs, outputs) and "
            f"one tap or more. Received: shape {kernel.shape}, time={time}"
        )
    if how == "average":
        return np.repeat(kernel[None] / time, time, axis=0)
    inflated = np.zeros((time, *kernel.shape), kernel.dtype)
    if how == "centre":
        inflated[(time - 1) // 2] = kernel
        return inflated
    height, width, inputs, outputs = kernel.shape
    centre = (time - 1) // 2, (height - 1) // 2, (width - 1) // 2
    inflated[centre] = np.eye(inputs, outputs)
    return inflated


def cross_modality(
    kernel: np.ndarray, channels: int, how: str = "mean"
) -> np.ndarray:
    """Return a first layer's kernel for another number of input channels.

    Args:
        kernel: (..., inputs, outputs); 3 inputs for RGB.
        channels: Number of inputs: 2L for flow, 3F for stacked frames.
        how: "mean" gives every channel the mean over the inputs (Wang et
            al. 2016, section 4.1; nothing is rescaled). "tile" repeats the
            inputs in turn and rescales by inputs / channels, so that equal
            channels give the response of before. "cyclic" repeats them
            without rescaling.

    Returns:
        (..., channels, outputs).

    Raises:
        WeightsError: If `how` or the shape is none of these.
    """
    check_choice("how", how, CROSSINGS, WeightsError)
    if np.ndim(kernel) < 2 or channels < 1:
        raise WeightsError(
            "`cross_modality` takes a kernel (..., inputs, outputs) and one "
            f"channel or more. Received: shape {np.shape(kernel)}, "
            f"channels={channels}"
        )
    inputs = kernel.shape[-2]
    if how == "mean":
        mean = kernel.mean(axis=-2, keepdims=True, dtype=np.float64)
        return np.repeat(mean.astype(kernel.dtype), channels, axis=-2)
    tiled = np.take(kernel, np.arange(channels) % inputs, axis=-2)
    return tiled * (inputs / channels) if how == "tile" else tiled


def fold_gamma(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fold the gamma of batch norms into the kernels before them.

    gamma * (Wx - mean) / s = ((gamma W) x - gamma mean) / s, so I3D, whose
    normalisation has no scale, can hold a network that has one.

    Args:
        tensors: Arrays by key; the normalisation of "conv" is "conv_bn".

    Returns:
        A new dict without the gammas.
    """
    folded = dict(tensors)
    for key in tensors:
        layer, _, variable = key.rpartition("_bn.")
        if variable == "gamma":
            gamma = folded.pop(key)
            for name in (f"{layer}.kernel", f"{layer}_bn.moving_mean"):
                folded[name] = folded[name] * gamma
    return folded


def from_torch(array: np.ndarray) -> np.ndarray:
    """Return a PyTorch kernel (outputs, inputs, ...) in Keras's layout."""
    if array.ndim < 2:
        return array
    return np.transpose(array, (*range(2, array.ndim), 1, 0))


def _is_reshaped(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return whether a shape holds another one's values at the same places.

    Convolutions over a whole map are dense layers, (inputs, outputs); single
    taps are axes of 1.
    """
    dense = tuple(other) == (np.prod(one[:-1]), one[-1])
    long, short = ([n for n in shape if n != 1] for shape in (one, other))
    return dense or long == short


def fit(
    array: np.ndarray, shape: Sequence[int], key: str, how: dict[str, Any]
) -> np.ndarray:
    """Return an array in the shape of a variable, adapted if needed.

    Args:
        array: Array in Keras's layout.
        shape: The variable's shape.
        key: The variable's key, for the error.
        how: `time` for `inflate`, `channels` for `cross_modality`.

    Returns:
        The array in that shape.

    Raises:
        WeightsError: If no adaptation gives that shape; the message names
            both shapes.
    """
    shape, original = tuple(shape), array.shape
    if array.ndim == 4 and len(shape) == 5:
        array = inflate(array, shape[0], how.get("time", "average"))
    elif array.ndim > len(shape) and _is_reshaped(original, shape):
        array = array.reshape(shape)
    if array.ndim >= 4 and array.shape[-2] == 3 != shape[-2]:
        array = cross_modality(array, shape[-2], how.get("channels", "mean"))
    if array.shape != shape:
        raise WeightsError(
            f"The weight {key} has the shape {original} in the file, and "
            f"nothing makes it the {shape} that the model has. Build the "
            "model with the options the weights were made for."
        )
    return array
