"""A compiled step that adds the scores of a batch of views, on the device."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_twostream.inspection import clip_spec
from keras_twostream.layers import ScoreFusion, concentration

FUSED = "fused"


def stream_scores(model: keras.Model, head: str | None = None) -> keras.Model:
    """A model that gives the scores of each stream beside the fused ones.

    Args:
        model: A model of this library.
        head: Which output, where the model has one per data set.

    Returns:
        A model with a dict of outputs: the streams, where the model keeps
        them apart until the scores, and "fused", where it fuses them.
    """
    output = model.output
    streams = clip_spec(model).streams
    if isinstance(output, dict):
        found = {s: output[_key(s, head)] for s in streams if
                 _key(s, head) in output}  # fmt: skip
        if not found:
            found = {FUSED: output[head or next(iter(output))]}
        return keras.Model(model.inputs, found)
    found = {FUSED: output}
    fusion = [x for x in model.layers if isinstance(x, ScoreFusion)]
    if len(fusion) == 1 and len(fusion[0].input) == len(streams):
        found.update(zip(streams, fusion[0].input, strict=True))
    elif len(streams) == 1:
        found = {streams[0]: output}
    return keras.Model(model.inputs, found)


def accumulator(model: keras.Model, kind: str) -> Callable[..., Any]:
    """A function that adds a batch's scores to running sums.

    Args:
        model: From clips to a dict of logits (B, classes).
        kind: What is added: "logits", "softmax" probabilities, or
            probabilities times their concentration ("sci").

    Returns:
        A compiled function of (sums, clips, video, mask) that returns sums:
        a dict of (videos, classes) tensors, on the device throughout.
    """

    def add(sums, scores, video, mask):
        return {
            name: total + _by_video(scores[name], video, mask, total, kind)
            for name, total in sums.items()
        }

    return _COMPILERS[keras.backend.backend()](model, add)


def _key(stream: str, head: str | None) -> str:
    return f"{stream}_{head}" if head else stream


def _by_video(scores, video, mask, total, kind: str):
    scores = ops.cast(scores, "float32")
    if kind != "logits":
        scores = ops.softmax(scores)
    if kind == "sci":
        scores = concentration(scores) * scores
    masked = scores * ops.expand_dims(mask, -1)
    return ops.segment_sum(masked, video, num_segments=total.shape[0])


# === Keras has no function that compiles for every backend ===


def _with_tensorflow(model, add):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def step(sums, clips, video, mask):
        return add(sums, model(clips, training=False), video, mask)

    return step


def _with_jax(model, add):
    import jax

    @jax.jit
    def step(trained, others, sums, clips, video, mask):
        scores, _ = model.stateless_call(trained, others, clips, training=False)
        return add(sums, scores, video, mask)

    def run(*arguments):
        trained = [variable.value for variable in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        return step(trained, others, *arguments)

    return run


def _with_torch(model, add):
    import torch

    def step(sums, clips, video, mask):
        with torch.no_grad():
            clips = {
                name: ops.convert_to_tensor(clip)
                for name, clip in clips.items()
            }
            video, mask = map(ops.convert_to_tensor, (video, mask))
            return add(sums, model(clips, training=False), video, mask)

    return step


_COMPILERS = {
    "tensorflow": _with_tensorflow,
    "jax": _with_jax,
    "torch": _with_torch,
}
