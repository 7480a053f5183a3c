"""Layers that cut clips in space and in time, and take differences."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_twostream")
class ContextFovea(keras.layers.Layer):
    """The whole frame at half resolution, and its centre at full resolution.

    Karpathy et al. 2014, section 3.2: two streams of half the size see what
    matters in a picture of 178 x 178 pixels, in half the time.

    Input shape:
        `(B, T, H, W, C)`

    Output shape:
        A list of two `(B, T, H // 2, W // 2, C)`: context, fovea.
    """

    def call(self, clip):
        return [self._context(clip), self._fovea(clip)]

    def _context(self, clip):
        height, width = (2 * (size // 2) for size in ops.shape(clip)[2:4])
        corners = [
            clip[:, :, row:height:2, column:width:2]
            for row in (0, 1)
            for column in (0, 1)
        ]
        return sum(corners) / 4

    def _fovea(self, clip):
        (top, height), (left, width) = (
            ((size - size // 2) // 2, size // 2)
            for size in ops.shape(clip)[2:4]
        )
        return clip[:, :, top : top + height, left : left + width]

    def compute_output_shape(self, input_shape):
        batch, time, height, width, channels = input_shape
        height, width = (
            None if size is None else size // 2 for size in (height, width)
        )
        half = (batch, time, height, width, channels)
        return [half, half]


@keras.saving.register_keras_serializable(package="keras_twostream")
class StackFrames(keras.layers.Layer):
    """Stack windows of consecutive frames on the channel axis.

    A 2-D convolution of the result is a 3-D convolution of the clip, with
    the same weights in other order and faster on a CPU.

    Args:
        length: Frames in a window.
        strides: Frames between two windows.

    Input shape:
        `(B, T, H, W, C)`

    Output shape:
        `(B, (T - length) // strides + 1, H, W, length * C)`
    """

    def __init__(self, length: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length
        self.strides = strides

    def call(self, clip):
        windows = self._windows(clip.shape[1])
        end = (windows - 1) * self.strides + 1
        frames = [
            clip[:, start : start + end : self.strides]
            for start in range(self.length)
        ]
        return ops.concatenate(frames, axis=-1)

    def _windows(self, time):
        return (time - self.length) // self.strides + 1

    def compute_output_shape(self, input_shape):
        batch, time, height, width, channels = input_shape
        windows = self._windows(time)
        return (batch, windows, height, width, self.length * channels)

    def get_config(self):
        return {
            **super().get_config(),
            "length": self.length,
            "strides": self.strides,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class FrameDifference(keras.layers.Layer):
    """Each of F stacked frames minus the one before it.

    Wang et al. 2016 (temporal segments), section 4.2: F = 6 frames give five
    differences, a cheap stand-in for flow. The layer computes in float32, as
    half precision would lose small changes of bright pixels.

    Args:
        channels: Channels of one frame.

    Input shape:
        `(..., channels * F)`

    Output shape:
        `(..., channels * (F - 1))`, float32.
    """

    def __init__(self, channels: int = 3, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.channels = channels

    def call(self, frames):
        return frames[..., self.channels :] - frames[..., : -self.channels]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] - self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}
