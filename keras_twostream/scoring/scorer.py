"""The scorer: a model of fused and stream logits, pooled over views.

Prediction, evaluation and the callback that watches `fit` all use it, so that a
video gets the same scores everywhere.
"""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream import _acceleration
from keras_twostream.errors import SpecError
from keras_twostream.graph import (
    is_functional,
    operation_of,
    sources_of,
)
from keras_twostream.inspection import (
    card,
    clip_spec,
    sees_regions,
)
from keras_twostream.layers import (
    SCI,
    AverageScores,
    ScoreFusion,
    best_of_clips,
    concentration,
)
from keras_twostream.scoring.heads import head_names, one_head
from keras_twostream.spec import FUSED, ClipSpec

# By the names of functions, layers and operations, of any library.
_SQUASHING = {
    "softmax": keras.activations.softmax,
    "softmax_v2": keras.activations.softmax,  # TensorFlow's own
    "sigmoid": keras.activations.sigmoid,
}
_OF_LOGITS = ("linear", "log_softmax")
# Layers that leave scores as they are when a model answers.
_PASSING = (keras.layers.Dropout, keras.layers.Identity, keras.layers.Reshape)
_FAINT = 1e-12  # keeps the logarithm of a probability finite

# === One model of all logits ===


def scorer(model: keras.Model, *, regions: bool = False) -> keras.Model:
    """Return a model that gives the fused scores and each stream's own.

    Probabilities at the end of a model are taken back to logits, so that no
    softmax is applied twice.

    Args:
        model: A model of this library with one head; `one_head` gives it.
        regions: Whether a model of regions is scored, too: its clips show one
            region each.

    Returns:
        A model with the same inputs that returns a dict of logits (B, C):
        one per stream where the model scores its streams apart, in the order
        of the streams, then "fused".

    Raises:
        SpecError: If the model takes something else than streams, as one of
            `with_flow` does, or regions of frames, or has several heads.
    """
    if not regions:
        refuse_regions(model)
    _acceleration.notice()
    spec = clip_spec(model)
    taken = [tensor.name for tensor in model.inputs]
    if set(taken) - set(spec.streams):
        raise SpecError(
            f"{model.name} takes {', '.join(taken)}, and scoring feeds "
            f"{' and '.join(spec.streams)}. Give the model that is inside it."
        )
    outputs = _outputs(one_head(model))
    apart = {s: outputs[s] for s in spec.streams if s in outputs}
    if FUSED not in outputs:
        weights = [weights_of(spec)[stream] for stream in apart]
        fusion = ScoreFusion(weights, spec.score_fusion, name="scorer_fusion")
        outputs[FUSED] = fusion(list(apart.values()))
    return keras.Model(
        model.inputs,
        {**apart, FUSED: outputs[FUSED]},
        name=f"{model.name}_scorer",
    )


def weights_of(spec: ClipSpec) -> dict[str, float]:
    """Return the weight of each stream in the fusion of scores."""
    return dict(zip(spec.streams, spec.stream_weights, strict=True))


def refuse_regions(model: keras.Model) -> None:
    """Check that a model takes clips.

    Raises:
        SpecError: If it takes regions: a whole frame is not one.
    """
    if sees_regions(model):
        raise SpecError(
            f"{model.name} scores regions of frames, not clips, so a whole "
            "frame would be taken for one person. Use keras_twostream.detect "
            "or the command `detect`; to measure it, `evaluate --detections`; "
            "to train it, `train --task tubes`."
        )


def _outputs(model: keras.Model) -> dict[str, Any]:
    """Return the logits of the one head: those of any streams, and fused."""
    head = next(iter(head_names(model)), None)
    streams = clip_spec(model).streams
    output = model.output
    if isinstance(output, dict):
        suffix = f"_{head}" if head else ""
        apart = {s: output[s + suffix] for s in streams if s + suffix in output}
        if apart:
            return {s: _by_class(x, model) for s, x in apart.items()}
        output = output[head or next(iter(output))]
    elif isinstance(output, list | tuple):
        raise SpecError(
            f"Scoring needs one score per class, and {model.name} returns "
            f"{len(output)} outputs. Build it with outputs='fused'."
        )
    fused = logits_of(output)
    apart = {streams[0]: fused}
    if len(streams) > 1:
        apart = _fusion_inputs(fused, streams)
    outputs = {**apart, FUSED: fused}
    return {name: _by_class(x, model) for name, x in outputs.items()}


def _by_class(
    scores: keras.KerasTensor, model: keras.Model
) -> keras.KerasTensor:
    """Return logits of each class, from those of steps or boundaries.

    They are the mean over steps (B, T, C), and those of the best boundaries of
    (B, P, E, C).
    """
    logits = logits_of(scores)
    if len(logits.shape) == 4:
        return ops.max(logits, axis=(1, 2))
    if len(logits.shape) == 3:
        return AverageScores(clip_spec(model).score_fusion)(logits)
    return logits


def _fusion_inputs(
    fused: keras.KerasTensor, streams: tuple[str, ...]
) -> dict[str, Any]:
    """Return the inputs of a last layer that fuses one score per stream."""
    layer = operation_of(fused)
    if not isinstance(layer, ScoreFusion) or len(layer.input) != len(streams):
        return {}
    return dict(zip(streams, layer.input, strict=True))


def logits_of(scores: keras.KerasTensor) -> keras.KerasTensor:
    """Return the input of a softmax or sigmoid at the end of a model.

    Args:
        scores: An output of a functional model, logits or probabilities.

    Returns:
        Logits; `scores` itself where it already holds them. For a layer with
        its activation inside, the inverse of the activation is applied.

    Warns:
        UserWarning: If the model ends in a function of the user's, which may
            give either.
    """
    activation, before = _squashed(scores)
    if activation is None:
        return scores
    if before is not None and before.shape == scores.shape:
        return before
    logits = ops.log(ops.maximum(scores, _FAINT))
    if activation is keras.activations.sigmoid:
        logits -= ops.log(ops.maximum(1.0 - scores, _FAINT))
    return logits


def _squashed(scores: keras.KerasTensor) -> tuple[Any, Any]:
    """Return the softmax or sigmoid that scores come from, and its input.

    Returns:
        None twice for logits; None for an input inside a layer or a network.
    """
    layer, sources = operation_of(scores), sources_of(scores)
    if is_functional(layer):
        # Not `output`, which of a Sequential is that of its call.
        inside = layer.outputs[scores._keras_history.tensor_index]
        return _squashed(inside)[0], None
    own = isinstance(layer, keras.layers.Lambda)
    activation = layer.function if own else getattr(layer, "activation", None)
    alone = own or isinstance(layer, keras.layers.Activation)
    name = getattr(activation, "__name__", type(layer).__name__.lower())
    if isinstance(layer, _PASSING) or (alone and name == "linear"):
        return _squashed(sources[0])
    if name in _SQUASHING:
        inside = activation is not None and not alone
        return _SQUASHING[name], None if inside else sources[0]
    if activation is not None and name not in _OF_LOGITS:
        warnings.warn(
            f"The model ends in {layer.name}, a {type(layer).__name__} of the "
            f"function {name}, whose outputs are taken for logits. If they are "
            'probabilities, end it in keras.layers.Activation("softmax").',
            stacklevel=2,
        )
    return None, None


class Basis:
    """The variables that a compiled step of a model was traced with.

    `quantize` and `enable_lora` exchange them in place, and a step that JAX
    compiled takes trained ones and others in two lists, by position. Values
    may change.

    Args:
        model: The model, as it is now.
    """

    def __init__(self, model: keras.Model) -> None:
        # Held, as the address of one that is gone is given to another.
        self._weights = list(model.weights)
        self._facts = _facts_of(self._weights)

    def holds(self, model: keras.Model) -> bool:
        """Return whether the model still rests on the same variables."""
        return self._facts == _facts_of(model.weights)


def _facts_of(weights: Sequence[Any]) -> list[tuple[int, bool]]:
    return [(id(weight), weight.trainable) for weight in weights]


# === From the scores of views to those of a video ===


def pooling(model: keras.Model) -> str:
    """Return the method by which the scores of a video's views are pooled.

    Returns:
        The spec's `score_fusion`: "logits", "softmax" for probabilities,
        "sci" for probabilities weighted by their concentration, "sci_max"
        for those of each clip's crops, and for each class the clip where it
        is largest (FstCN, Sun et al. 2015); "sigmoid" for probabilities of
        several classes at once.
    """
    method = clip_spec(model).score_fusion
    if method != "logits" and card(model).get("multi_label"):
        return "sigmoid"
    return method


def chances(logits: np.ndarray, multi_label: bool = False) -> np.ndarray:
    """Return probabilities (..., C): softmax, or sigmoid of several labels."""
    squash = ops.sigmoid if multi_label else ops.softmax
    return ops.convert_to_numpy(squash(logits))


def terms(logits: Any, method: str) -> Any:
    """Return the (N, C) float32 terms that views add to their video's sum."""
    logits = ops.cast(logits, "float32")
    if method == "logits":
        return logits
    if method == "sigmoid":
        return ops.sigmoid(logits)
    shares = ops.softmax(logits)
    return concentration(shares) * shares if method in SCI else shares


def mean_of(total: np.ndarray, views: np.ndarray, method: str) -> np.ndarray:
    """Return the mean over the views, from the sum of their `terms`.

    Args:
        total: (videos, C), or (clips, C) for "sci_max".
        views: (videos,), the number of views in each sum.
        method: See `pooling`.

    Returns:
        (videos, C): logits, or probabilities.
    """
    if method in SCI:  # the weight of each view is the sum of its terms
        return total / total.sum(axis=-1, keepdims=True)
    return total / np.asarray(views, "float32")[:, None]


def pool(logits: np.ndarray, method: str) -> np.ndarray:
    """Return the score (C,) of a video from the logits (N, C) of its views.

    Each view is a clip of its own; probabilities add up to 1.
    """
    if method == "sci_max":
        best = ops.convert_to_numpy(best_of_clips(ops.softmax(logits)))
        return best / best.sum()
    total = ops.convert_to_numpy(ops.sum(terms(logits, method), axis=0))
    return mean_of(total[None], np.array([len(logits)]), method)[0]


class ClipTotals:
    """Sums over the crops of every clip, for scores that keep clips apart.

    Args:
        add: Function from `accumulator`.
        widths: Mapping from output of the network to its number of classes.
    """

    def __init__(
        self, add: Callable[..., Any], widths: Mapping[str, int]
    ) -> None:
        self._add, self._widths = add, dict(widths)
        self._totals: dict[str, dict[tuple[int, int], Any]] = {
            name: {} for name in widths
        }

    def update(
        self,
        clips: Mapping[str, Any],
        video: np.ndarray,
        clip: np.ndarray,
        mask: np.ndarray,
    ) -> None:
        """Add a batch of views, with the video and the clip of each."""
        count = len(video)
        start = {
            name: ops.zeros((count, width), "float32")
            for name, width in self._widths.items()
        }
        places = np.arange(count, dtype="int32")
        added = self._add(start, clips, places, mask)
        keys = list(zip(video.tolist(), clip.tolist(), strict=True))
        for name, totals in self._totals.items():
            rows = ops.convert_to_numpy(added[name])
            for key, row, there in zip(keys, rows, mask, strict=True):
                if there:
                    totals[key] = totals.get(key, 0) + row

    def best(self, videos: int) -> dict[str, np.ndarray]:
        """Return (videos, C) scores by output; zeros without a view."""
        scores = {}
        for name, totals in self._totals.items():
            result = np.zeros((videos, self._widths[name]), "float32")
            for (video, _), total in totals.items():
                share = mean_of(total[None], np.ones(1), "sci_max")[0]
                result[video] = np.maximum(result[video], share)
            scores[name] = result
        return scores


def accumulator(network: keras.Model, method: str) -> Callable[..., Any]:
    """Return a compiled step that adds a batch's scores to running sums.

    Args:
        network: Model from `scorer`.
        method: See `pooling`.

    Returns:
        A function of (sums, clips, video, mask) that returns sums: a dict of
        (videos, classes) tensors, which stay on the device. `video` (B,) is the
        index of each view's video, `mask` (B,) is 0 for padding.
    """

    add = functools.partial(add_scores, method=method)
    return _COMPILERS[keras.backend.backend()](network, add)


def add_scores(
    sums: Mapping[str, Any],
    scores: Mapping[str, Any],
    video: Any,
    mask: Any,
    method: str,
) -> dict[str, Any]:
    """Return sums with a batch's scores added; see `accumulator`."""
    return {
        name: total
        + ops.segment_sum(
            terms(scores[name], method) * ops.expand_dims(mask, -1),
            video,
            num_segments=total.shape[0],
        )
        for name, total in sums.items()
    }


# === Keras has no function that compiles for every backend ===


def _with_tensorflow(network: keras.Model, add: Callable) -> Callable:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def step(sums, clips, video, mask):
        return add(sums, network(clips, training=False), video, mask)

    return step


def _with_jax(network: keras.Model, add: Callable) -> Callable:
    import jax

    @jax.jit
    def step(trained, others, sums, clips, video, mask):
        scores, _ = network.stateless_call(
            trained, others, clips, training=False
        )
        return add(sums, scores, video, mask)

    def run(*arguments):
        trained = [variable.value for variable in network.trainable_variables]
        others = [v.value for v in network.non_trainable_variables]
        return step(trained, others, *arguments)

    return run


def _with_torch(network: keras.Model, add: Callable) -> Callable:
    import torch

    def step(sums, clips, video, mask):
        with torch.no_grad():
            clips = {
                name: ops.convert_to_tensor(clip)
                for name, clip in clips.items()
            }
            video, mask = map(ops.convert_to_tensor, (video, mask))
            return add(sums, network(clips, training=False), video, mask)

    return step


_COMPILERS = {
    "tensorflow": _with_tensorflow,
    "jax": _with_jax,
    "torch": _with_torch,
}
