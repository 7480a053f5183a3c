"""Layers between clips and frames: 2-D layers see one batch of frames."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_twostream")
class FoldTime(keras.layers.Layer):
    """Fold time into the batch, so that 2-D layers apply to each frame.

    Input shape:
        `(B, T, ...)`

    Output shape:
        `(B * T, ...)`
    """

    def call(self, clip):
        shape = ops.shape(clip)
        return ops.reshape(clip, (-1, *shape[2:]))

    def compute_output_shape(self, input_shape):
        batch, length, *rest = input_shape
        unknown = batch is None or length is None
        return (None if unknown else batch * length, *rest)


@keras.saving.register_keras_serializable(package="keras_twostream")
class UnfoldTime(keras.layers.Layer):
    """Undo `FoldTime`.

    Args:
        clip_length: T.

    Input shape:
        `(B * T, ...)`

    Output shape:
        `(B, T, ...)`
    """

    def __init__(self, clip_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clip_length = clip_length

    def call(self, frames):
        shape = ops.shape(frames)
        return ops.reshape(frames, (-1, self.clip_length, *shape[1:]))

    def compute_output_shape(self, input_shape):
        frames, *rest = input_shape
        batch = None if frames is None else frames // self.clip_length
        return (batch, self.clip_length, *rest)

    def get_config(self):
        return {**super().get_config(), "clip_length": self.clip_length}
