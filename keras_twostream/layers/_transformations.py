"""Actions as transformations of a precondition into an effect.

Wang, Farhadi, Gupta (CVPR 2016): a clip is cut in two at latent boundaries,
each part is averaged and embedded, and the action is the one matrix of n
that carries the first embedding closest to the second.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def boundaries(
    clip_length: int,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (start, stop) of every precondition and of every effect.

    Args:
        clip_length: T, at least 2.

    Returns:
        Segments that end at z_p, and segments that start at z_e; with T = 25
        five of each, z_p from 8 to 12 and z_e from 13 to 17.
    """
    third, half = clip_length / 3, clip_length / 2
    ends = range(max(1, math.floor(third)), math.floor(half) + 1)
    starts = range(math.ceil(half), math.ceil(2 * third) + 1)
    # Frame z is index z - 1, and belongs to both of its segments.
    before = [(0, end) for end in ends]
    after = [(max(start, 2) - 1, clip_length) for start in starts]
    return before, after


@keras.saving.register_keras_serializable(package="keras_twostream")
class NearIdentity(keras.initializers.Initializer):
    """n identity matrices with a little noise, which tells them apart.

    Args:
        stddev: Standard deviation of the Gaussian noise.
    """

    def __init__(self, stddev: float = 0.01) -> None:
        self.stddev = stddev
        self._noise = keras.initializers.RandomNormal(stddev=stddev)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        noise = self._noise(shape, dtype=dtype)
        return ops.eye(shape[-2], shape[-1], dtype=dtype) + noise

    def get_config(self):
        return {"stddev": self.stddev}


@keras.saving.register_keras_serializable(package="keras_twostream")
class SegmentMeans(keras.layers.Layer):
    """Means of the frames in each of several segments of the clip.

    They come from sums over the first frames, in float32, so that many
    segments cost no more than the clip.

    Args:
        segments: (start, stop) of each segment; stop is not in it.

    Input shape:
        `(B, T, D)`

    Output shape:
        `(B, len(segments), D)`
    """

    def __init__(
        self, segments: Sequence[tuple[int, int]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.segments = [tuple(segment) for segment in segments]

    def call(self, features):
        sums = ops.cumsum(ops.cast(features, "float32"), axis=1)
        sums = ops.pad(sums, [(0, 0), (1, 0), (0, 0)])
        starts, stops = (
            ops.convert_to_tensor(places, "int32")
            for places in zip(*self.segments, strict=True)
        )
        totals = ops.take(sums, stops, axis=1) - ops.take(sums, starts, axis=1)
        lengths = ops.cast(ops.expand_dims(stops - starts, -1), "float32")
        return ops.cast(totals / lengths, features.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.segments), input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "segments": self.segments}


@keras.saving.register_keras_serializable(package="keras_twostream")
class ActionTransformations(keras.layers.Layer):
    """Cosine distance from each transformed precondition to each effect.

    `1 - cos(T_i f_p, f_e)` for n learned matrices T_i without bias, all
    preconditions and all effects; between 0 and 2.

    Args:
        num_classes: n.

    Input shape:
        Preconditions `(B, P, D)` and effects `(B, E, D)`.

    Output shape:
        `(B, P, E, num_classes)`, float32.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_classes = num_classes

    def build(self, input_shape):
        size = input_shape[0][-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_classes, size, size),
            initializer=NearIdentity(),
        )

    def call(self, embeddings):
        before, after = embeddings
        moved = ops.einsum("bpd,nde->bpne", before, self.kernel)
        moved = ops.normalize(moved, axis=-1, epsilon=1e-6)
        after = ops.normalize(after, axis=-1, epsilon=1e-6)
        return 1.0 - ops.einsum("bpnd,bed->bpen", moved, after)

    def compute_output_shape(self, input_shape):
        (batch, before, _), (_, after, _) = input_shape
        return (batch, before, after, self.num_classes)

    def macs(self, input_shape: Sequence[Sequence[int]]) -> int:
        """Return the multiply-adds of moving and comparing all embeddings."""
        (batch, before, size), (_, after, _) = input_shape
        return batch * before * self.num_classes * size * (size + after)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="keras_twostream")
class DistanceLogits(keras.layers.Layer):
    """Distances as logits: `-scale` times the least over all boundaries.

    Args:
        scale: Factor, as a cosine alone spans too little for a softmax.
        every_boundary: Keep all boundary pairs instead of the best one.

    Input shape:
        `(B, P, E, n)`

    Output shape:
        `(B, n)`, or the input's shape when `every_boundary`; float32.
    """

    def __init__(
        self, scale: float, every_boundary: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.scale = scale
        self.every_boundary = every_boundary

    def call(self, distances):
        if not self.every_boundary:
            distances = ops.min(distances, axis=(1, 2))
        return -self.scale * distances

    def compute_output_shape(self, input_shape):
        if self.every_boundary:
            return input_shape
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "every_boundary": self.every_boundary,
        }
