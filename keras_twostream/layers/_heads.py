"""Class scores from features: heads, and the fusion of streams."""

import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.spec import FUSED, SCORE_FUSIONS, STREAMS

# Both weigh by concentration; the second takes the best of a video's clips.
SCI = ("sci", "sci_max")
OUTPUTS = ("fused", "streams", "steps")
ACTIVATIONS = (None, "softmax", "sigmoid")
_FAINT = 1e-7  # keeps a mean over uniform scores defined


def concentration(probabilities: Any) -> Any:
    """Return the sparsity concentration index of class probabilities.

    It is 0 where all classes are alike and 1 where one has everything:
    (N max(p) - 1) / (N - 1). FstCN (Sun et al. 2015) weighs the scores of a
    video's views by it; it comes from sparse coding (Wright et al. 2009).

    Args:
        probabilities: (..., N), each row adding up to 1.

    Returns:
        (..., 1), never quite 0.
    """
    count = probabilities.shape[-1]
    peak = ops.max(probabilities, axis=-1, keepdims=True)
    return ops.maximum((count * peak - 1.0) / max(count - 1, 1), _FAINT)


def concentrated_mean(probabilities: Any, axis: int) -> Any:
    """Return the mean of class probabilities by their concentration.

    FstCN (Sun et al. 2015): sum of SCI p / sum of SCI.

    Args:
        probabilities: (..., N), each row adding up to 1.
        axis: The axis to average over, of crops or steps.

    Returns:
        Probabilities without that axis.
    """
    weights = concentration(probabilities)
    total = ops.sum(weights * probabilities, axis=axis)
    return total / ops.sum(weights, axis=axis)


def best_of_clips(probabilities: Any) -> Any:
    """Return the score of each class in the clip where it is largest.

    FstCN's score of a video ("sci_max"), from the `concentrated_mean` of
    each clip over its crops. The scores need not add up to 1.

    Args:
        probabilities: (..., clips, N).

    Returns:
        (..., N).
    """
    return ops.max(probabilities, axis=-2)


@keras.saving.register_keras_serializable(package="keras_twostream")
class ScoreFusion(keras.layers.Layer):
    """Weighted mean of several score vectors, as logits.

    Args:
        weights: One weight per input; they are normalised to sum to 1.
        method: "logits" averages the logits. "softmax" averages class
            probabilities and returns the log of the mean, so that the output
            is again a vector of logits. "sci" and "sci_max" do so with each
            input weighted by its `concentration`, too.

    Input shape:
        A list of `(B, num_classes)`.

    Output shape:
        `(B, num_classes)`, float32.

    Raises:
        SpecError: If the method has no such name, or batches differ in size.
    """

    def __init__(
        self, weights: Sequence[float], method: str = "logits", **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_choice("method", method, SCORE_FUSIONS)
        self.weights_ = [float(weight) for weight in weights]
        self.method = method

    def call(self, scores):
        _check_batches(scores)
        weights = self.weights_
        if self.method != "logits":
            scores = [ops.softmax(score) for score in scores]
        if self.method in SCI:
            weights = [
                weight * concentration(score)
                for weight, score in zip(weights, scores, strict=True)
            ]
        total = sum(weights)
        pairs = zip(weights, scores, strict=True)
        mean = sum(weight / total * score for weight, score in pairs)
        return mean if self.method == "logits" else _log(mean)

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
        method: "logits", "softmax", "sci" or "sci_max", as in
            `ScoreFusion`.

    Input shape:
        `(B, T, num_classes)`

    Output shape:
        `(B, num_classes)`, float32.

    Raises:
        SpecError: If the method has no such name.
    """

    def __init__(self, method: str = "logits", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_choice("method", method, SCORE_FUSIONS)
        self.method = method

    def call(self, scores):
        if self.method == "logits" or scores.shape[1] == 1:
            return ops.mean(scores, axis=1)
        shares = ops.softmax(scores)
        if self.method == "softmax":
            return _log(ops.mean(shares, axis=1))
        return _log(concentrated_mean(shares, 1))

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
    """Return the fused scores of linear heads on each stream's features.

    Args:
        features: Features by stream, `(B, D)`, or `(B, T, D)` when
            `average_steps`.
        num_classes: Classes of the one head, unless `heads` is given.
        fusion: "logits", "softmax", "sci" or "sci_max".
        stream_weights: Weight of each stream.
        heads: Classes of several heads, by data set.
        outputs: "fused" for one score vector, "streams" for a dict with one
            per stream, "steps" for a dict with those of all steps per stream,
            `(B, T, num_classes)`, from features `(B, T, D)`.
        activation: "softmax" for probabilities, "sigmoid" for those of
            several classes at once, None for logits.
        name: Name of the head in the paper, such as "fc8".
        kernel_initializer: Initialiser of the heads; a Gaussian of 0.01 when
            None.
        average_steps: Average scores over the clip's steps.
        head: Function of features, classes and a name that gives scores, in
            place of the linear layer.

    Returns:
        A tensor `(B, num_classes)`, or a dict of them keyed by data set
        (`heads`), by stream (`outputs="streams"`), or by
        "<stream>_<data set>" (both).

    Raises:
        SpecError: If `outputs` is not one of the three or there are no steps,
            a number of classes is not positive, the activation is no choice
            or does not go with the fusion, or `heads` is no dict or has a name
            that an output cannot have.
    """
    check_choice("outputs", outputs, OUTPUTS)
    check_choice("classifier_activation", activation, ACTIVATIONS)
    _check_sigmoid(activation, fusion)
    _check_heads(heads or {"classes": num_classes})
    score = head or partial(
        _scores,
        initializer=kernel_initializer
        or keras.initializers.RandomNormal(stddev=0.01),
        average=fusion if average_steps and outputs != "steps" else None,
    )
    results = {}
    for data_set, classes in (heads or {"": num_classes}).items():
        suffix = f"_{data_set}" if data_set else ""
        scores = {
            stream: score(x, classes, f"{stream}_{name}{suffix}")
            for stream, x in features.items()
        }
        _check_steps(outputs, scores)
        if outputs == "fused":
            fused = _fuse(scores, fusion, stream_weights, f"scores{suffix}")
            results[data_set] = _activate(fused, activation, suffix)
        else:
            for stream, x in scores.items():
                results[stream + suffix] = _activate(
                    x, activation, f"_{stream}{suffix}"
                )
    return results[""] if list(results) == [""] else results


def _check_sigmoid(activation: str | None, fusion: str) -> None:
    # Of the log of a share below one, a sigmoid stays below a half.
    if activation == "sigmoid" and fusion != "logits":
        raise SpecError(
            "`classifier_activation='sigmoid'` is for several classes at once, "
            f"and score_fusion={fusion!r} averages probabilities that add up "
            "to one. Build it with clip_spec={'score_fusion': 'logits'}."
        )


def _check_steps(outputs: str, scores: Mapping[str, Any]) -> None:
    if outputs == "steps" and any(len(x.shape) != 3 for x in scores.values()):
        raise SpecError(
            "The network has one score for all steps of a clip, and "
            "outputs='steps' wants that of each. Use outputs='streams'."
        )


def _check_heads(heads: Mapping[str, int]) -> None:
    if not isinstance(heads, Mapping):
        raise SpecError(
            "`heads` takes a dict from data set to its number of classes. "
            f"Received: heads={heads!r}"
        )
    for name, classes in heads.items():
        whole = isinstance(classes, numbers.Integral)
        if not whole or isinstance(classes, bool) or classes < 1:
            raise SpecError(
                "The number of classes must be 1 or more. "
                f"Received: {name}={classes!r}"
            )
        # Layers are named after data sets; PyTorch allows no dots in names.
        fits = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]+", name)
        # An output "rgb_x" is that of the head x on the stream rgb.
        if not fits or name.partition("_")[0] in (*STREAMS, FUSED):
            raise SpecError(
                "`heads` names data sets with letters, digits, - and _, and "
                f"none begins with {', '.join(STREAMS)} or {FUSED}. "
                f"Received: heads={dict(heads)}"
            )


def _check_batches(scores: Sequence[Any]) -> None:
    """Refuse clips of which one would be taken for all of another stream."""
    known = {x.shape[0] for x in scores} - {None}
    if len(known) > 1:
        raise SpecError(
            "Every stream needs the same number of clips. Received: "
            f"{' and '.join(map(str, sorted(known)))} clips"
        )


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, 1e-12))


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
