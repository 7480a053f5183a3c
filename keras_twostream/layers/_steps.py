"""Layers that choose, compare or recode the frames of a clip."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_twostream")
class AbsoluteDifference(keras.layers.Layer):
    """The change of each pixel from the first to the last stacked frame.

    FstCN's V_diff (Sun et al. 2015, section 3.2): |V(t + d) - V(t)|, where
    the clip brings both frames stacked on the channel axis. The layer
    computes in float32, as half precision would lose small changes of bright
    pixels.

    Input shape:
        `(B, T, H, W, 3F)`, F > 1 frames at each step.

    Output shape:
        `(B, T, H, W, 3)`, float32.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, clip):
        return ops.absolute(clip[..., -3:] - clip[..., :3])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)


@keras.saving.register_keras_serializable(package="keras_twostream")
class TakeSteps(keras.layers.Layer):
    """Some steps of a clip, and the first channels of them.

    Args:
        start: First step.
        stop: The step after the last one.
        channels: Number of channels to keep, or None for all.

    Input shape:
        `(B, T, ..., C)`

    Output shape:
        `(B, stop - start, ..., channels)`
    """

    def __init__(
        self, start: int, stop: int, channels: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop
        self.channels = channels

    def call(self, clip):
        return clip[:, self.start : self.stop, ..., : self.channels]

    def compute_output_shape(self, input_shape):
        batch, time, *sides, channels = input_shape
        steps = len(range(time)[self.start : self.stop])
        return (batch, steps, *sides, self.channels or channels)

    def get_config(self):
        return {
            **super().get_config(),
            "start": self.start,
            "stop": self.stop,
            "channels": self.channels,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class DrawStep(keras.layers.Layer):
    """One step of a clip: a random one in training, the middle one in test.

    The frame that FstCN's spatial path sees (Sun et al. 2015, section 3.2);
    each sample of a batch draws its own.

    Args:
        channels: Number of channels to keep, or None for all.
        seed: Seed of the draws.

    Input shape:
        `(B, T, ..., C)`

    Output shape:
        `(B, 1, ..., channels)`
    """

    def __init__(
        self,
        channels: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, clip, training=None):
        clip = clip[..., : self.channels]
        middle = clip.shape[1] // 2
        if not training:
            return clip[:, middle : middle + 1]
        shape = ops.shape(clip)
        steps = keras.random.randint(
            (shape[0],), 0, shape[1], seed=self.seed_generator
        )
        chosen = ops.one_hot(steps, shape[1], dtype=clip.dtype)
        # A product with 0 and 1 gathers alike on every backend.
        chosen = ops.reshape(chosen, (-1, shape[1], *[1] * (len(shape) - 2)))
        return ops.sum(chosen * clip, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape):
        batch, _, *sides, channels = input_shape
        return (batch, 1, *sides, self.channels or channels)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class FlowImage(keras.layers.Layer):
    """Flow as the 8-bit image of Action Tubes, minus its zero level of 128.

    Gkioxari & Malik 2015, as their code: channels (|f|, v, u) of
    round(16 f + 128), cut to a byte, so one pixel is 16 levels.

    Args:
        levels: Levels of the byte image per unit of the input: 128 when it
            is in units of the 8-pixel bound.

    Input shape:
        `(..., 2)`, (u, v).

    Output shape:
        `(..., 3)`, float32.
    """

    def __init__(self, levels: float = 128.0, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.levels = levels

    def call(self, flow):
        squares = ops.sum(ops.square(flow), axis=-1, keepdims=True)
        # The root of 0 has no finite gradient.
        length = ops.sqrt(ops.maximum(squares, 1e-12))
        image = ops.concatenate([length, ops.flip(flow, axis=-1)], axis=-1)
        return ops.clip(ops.round(self.levels * image), -128.0, 127.0)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
