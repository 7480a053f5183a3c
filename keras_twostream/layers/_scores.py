"""From features to class scores: heads, and how streams are fused."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError
from keras_twostream.spec import SCORE_FUSIONS


@keras.saving.register_keras_serializable(package="keras_twostream")
class ScoreFusion(keras.layers.Layer):
    """Weighted mean of several score vectors, as logits.

    Args:
        weights: One weight per input; they are normalised to sum to 1.
        method: "logits" averages the logits. "softmax" averages class
            probabilities and returns the log of the mean, so that the output
            is again a vector of logits.

    Input shape:
        A list of `(B, num_classes)`.

    Output shape:
        `(B, num_classes)`, float32.
    """

    def __init__(
        self, weights: Sequence[float], method: str = "logits", **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if method not in SCORE_FUSIONS:
            raise SpecError(
                f"`method` must be one of {', '.join(SCORE_FUSIONS)}. "
                f"Received: method={method!r}"
            )
        self.weights_ = [float(weight) for weight in weights]
        self.method = method

    def call(self, scores):
        total = sum(self.weights_)
        if self.method == "softmax":
            scores = [ops.softmax(score) for score in scores]
        pairs = zip(self.weights_, scores, strict=True)
        mean = sum(weight / total * score for weight, score in pairs)
        if self.method == "softmax":
            return ops.log(ops.maximum(mean, 1e-12))
        return mean

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {
            **super().get_config(),
            "weights": self.weights_,
            "method": self.method,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class AverageScores(keras.layers.Layer):
    """Mean of the scores over the clip's steps, as logits.

    Args:
        method: "logits" or "softmax", as in `ScoreFusion`.

    Input shape:
        `(B, T, num_classes)`

    Output shape:
        `(B, num_classes)`, float32.
    """

    def __init__(self, method: str = "logits", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.method = method

    def call(self, scores):
        if self.method == "logits" or scores.shape[1] == 1:
            return ops.mean(scores, axis=1)
        mean = ops.mean(ops.softmax(scores), axis=1)
        return ops.log(ops.maximum(mean, 1e-12))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "method": self.method}


def classifier(
    features: Mapping[str, Any],
    num_classes: int,
    *,
    fusion: str,
    stream_weights: Sequence[float],
    heads: Mapping[str, int] | None = None,
    outputs: str = "fused",
    activation: str | None = None,
    name: str = "fc",
    kernel_initializer: Any = None,
    average_steps: bool = False,
    head: Callable | None = None,
) -> Any:
    """Linear heads on each stream's features, and their fusion.

    Args:
        features: From stream to `(B, D)`, or `(B, T, D)` when
            `average_steps`.
        num_classes: Classes of the one head, unless `heads` is given.
        fusion: "logits" or "softmax".
        stream_weights: Weight of each stream.
        heads: Classes of several heads, by data set.
        outputs: "fused" for one score vector, "streams" for a dict with one
            per stream.
        activation: "softmax" for probabilities, None for logits.
        name: Name of the head in the paper, such as "fc8".
        kernel_initializer: Of the heads; a Gaussian of 0.01 when None.
        average_steps: Average scores over the clip's steps.
        head: Function of features, classes and a name that gives scores, in
            place of the linear layer.

    Returns:
        A tensor `(B, num_classes)`, or a dict of them keyed by data set
        (`heads`), by stream (`outputs="streams"`), or by
        "<stream>_<data set>" (both).

    Raises:
        SpecError: If `outputs` is not one of the two.
    """
    if outputs not in ("fused", "streams"):
        raise SpecError(
            f"`outputs` must be fused or streams. Received: outputs={outputs!r}"
        )
    score = head or partial(
        _scores,
        initializer=kernel_initializer
        or keras.initializers.RandomNormal(stddev=0.01),
        average=fusion if average_steps else None,
    )
    results = {}
    for data_set, classes in (heads or {"": num_classes}).items():
        suffix = f"_{data_set}" if data_set else ""
        scores = {
            stream: score(x, classes, f"{stream}_{name}{suffix}")
            for stream, x in features.items()
        }
        if outputs == "fused":
            fused = _fuse(scores, fusion, stream_weights, f"scores{suffix}")
            results[data_set] = _activate(fused, activation, suffix)
        else:
            for stream, x in scores.items():
                results[stream + suffix] = _activate(
                    x, activation, f"_{stream}{suffix}"
                )
    return results[""] if list(results) == [""] else results


def _scores(x, classes, name, initializer, average):
    # One initialiser draws the same numbers each time: a copy for each head.
    x = keras.layers.Dense(
        classes,
        kernel_initializer=initializer.clone(),
        dtype="float32",
        name=name,
    )(x)
    if average is None:
        return x
    return AverageScores(average, name=f"{name}_mean")(x)


def _fuse(scores, fusion, weights, name):
    if len(scores) == 1:
        return next(iter(scores.values()))
    return ScoreFusion(weights, fusion, name=name)(list(scores.values()))


def _activate(scores, activation, suffix):
    if activation is None:
        return scores
    return keras.layers.Activation(
        activation, dtype="float32", name=f"probabilities{suffix}"
    )(scores)
