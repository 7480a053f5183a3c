"""Clips played otherwise, which have no label and teach by a teacher's answer.

Backwards or mirrored, a clip shows another motion in the same frames. A student
of few videos learns them by heart; what it sees of these it must learn from
motion, as no frame tells them apart.
"""

from typing import Any

import tensorflow as tf

from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec

_WAYS = 4  # as it is, backwards, mirrored, both


def replayed(
    dataset: tf.data.Dataset,
    clip: ClipSpec,
    share: float,
    seed: int,
    start: int,
) -> tf.data.Dataset:
    """Play a share of the clips otherwise, at no weight for their labels.

    Args:
        dataset: A dataset of (clips, labels) or (clips, labels, weights).
        clip: The clip of both streams.
        share: Share of the clips that are played backwards, mirrored or both,
            in equal parts.
        seed: Seed of what is drawn.
        start: Number of the first batch; the same batch is drawn alike.

    Returns:
        A dataset of (clips, labels, weights).

    Raises:
        SpecError: If flow follows trajectories, which backwards are others.
    """
    if "flow" in clip.streams and "trajectory" in clip.stacking:
        raise SpecError(
            "Flow along trajectories cannot be played backwards. Set "
            f"distill.replayed=0. Received: stacking={clip.stacking!r}"
        )

    def play(number, batch):
        clips, label, *weight = batch
        rows = tf.shape(tf.nest.flatten(label)[0])[0]
        drawn = tf.random.stateless_uniform(
            (2, rows), tf.stack([tf.cast(seed, tf.int64), number])
        )
        other = 1 + tf.cast(drawn[1] * (_WAYS - 1), tf.int32)
        way = tf.where(drawn[0] < share, other, 0)
        clips = {
            name: _played(values, name, way, clip)
            for name, values in clips.items()
        }
        own = tf.cast(way == 0, "float32")
        given = weight[0] if weight else tf.nest.map_structure(_ones, label)
        weight = tf.nest.map_structure(
            lambda one: tf.cast(one, "float32") * own, given
        )
        return clips, label, weight

    return dataset.enumerate(start).map(play)


def _ones(label: tf.Tensor) -> tf.Tensor:
    return tf.ones(tf.shape(label)[:1])


def _played(
    values: tf.Tensor, stream: str, way: tf.Tensor, clip: ClipSpec
) -> tf.Tensor:
    """Return each clip of (B, T, H, W, C) in its own way."""
    backwards, mirrored = _backwards(values, stream, clip), way >= 2
    values = _where(way % 2 == 1, backwards, values)
    return _where(mirrored, _mirrored(values, stream), values)


def _where(rows: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.where(rows[:, None, None, None, None], one, other)


def _backwards(values: tf.Tensor, stream: str, clip: ClipSpec) -> tf.Tensor:
    """Return clips backwards: the last step and, in it, the last frame first.

    Flow between two frames is negated. A stack of both ways has both already,
    which change places.
    """
    values = tf.reverse(values, [1])
    if stream == "flow" and clip.stacking == "bidirectional":
        return tf.roll(values, clip.flow_length, axis=-1)
    size = 2 if stream == "flow" else 3
    whole = tf.shape(values)
    each = tf.concat([whole[:-1], [values.shape[-1] // size, size]], 0)
    values = tf.reshape(tf.reverse(tf.reshape(values, each), [-2]), whole)
    return -values if stream == "flow" else values


def _mirrored(values: tf.Tensor, stream: str) -> tf.Tensor:
    values = tf.reverse(values, [3])
    if stream == "flow":
        signs: Any = [-1.0, 1.0] * (values.shape[-1] // 2)
        values *= tf.constant(signs, values.dtype)
    return values
