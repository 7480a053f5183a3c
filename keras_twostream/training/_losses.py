"""Losses and accuracy of logits, for heads that ignore some of the clips.

Labels are class numbers; a negative one adds nothing, so that with one head
per data set each head sees only its own (Simonyan & Zisserman 2014, section
4). A label beyond the classes makes a loss NaN.
"""

from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError


@keras.saving.register_keras_serializable(package="keras_twostream")
class CrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of logits against class numbers.

    Logits of every step, (B, T, classes), have a loss each, and their sum
    counts, as in MatConvNet (ST-ResNet, Feichtenhofer et al. 2016).

    Args:
        label_smoothing: Share of the target given to all classes alike.
        name: Name of the loss.

    Raises:
        SpecError: When called, if labels are vectors, or logits are those of
            every boundary.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        name: str = "cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        _refuse_vectors(y_true)
        _refuse_boundaries(y_pred)
        logits = ops.cast(y_pred, "float32")
        classes = logits.shape[-1]
        if len(logits.shape) == 2:
            logits = ops.expand_dims(logits, 1)
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        logs = ops.log_softmax(logits, axis=-1)
        target = ops.one_hot(ops.minimum(labels, classes - 1), classes)
        picked = -ops.sum(target[:, None] * logs, axis=-1)
        spread = -ops.mean(logs, axis=-1)
        smoothing = self.label_smoothing
        loss = (1.0 - smoothing) * picked + smoothing * spread
        return _counted(ops.sum(loss, axis=1), labels, classes)

    def get_config(self):
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable(package="keras_twostream")
class ContrastiveCosine(keras.losses.Loss):
    """The loss of Actions ~ Transformations on the distances of all boundaries.

    X. Wang et al. 2016, section 3.2: the distance of the video's own class at
    its boundaries, plus the amount by which every other class falls short of
    the margin. The boundaries are the closest ones for its own class, or those
    that a label brings; no gradient flows through their choice.

    The predictions are logits of every boundary, (B, P, E, n), -scale times
    the cosine distances. Labels are class numbers (B,), or (B, 3): class,
    number of the precondition and number of the effect in
    `layers.boundaries`.

    Args:
        scale: Scale of the logits, as the model's `scale`.
        margin: Distance that other classes should keep.
        push: Weight of the other classes.
        name: Name of the loss.

    Raises:
        SpecError: When called, if logits or labels are not as above.
    """

    def __init__(
        self,
        scale: float = 20.0,
        margin: float = 0.5,
        push: float = 1.0,
        name: str = "contrastive_cosine",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = scale
        self.margin = margin
        self.push = push

    def call(self, y_true, y_pred):
        if len(y_pred.shape) != 4:
            raise SpecError(
                "The contrastive loss needs the logits of every boundary, "
                f"(B, P, E, n). Received: shape {tuple(y_pred.shape)}. Build "
                "the model with every_boundary=True."
            )
        distances = ops.cast(y_pred, "float32") / -self.scale
        _, before, after, classes = y_pred.shape
        labels, pairs = _split(y_true, after)
        own = ops.one_hot(ops.clip(labels, 0, classes - 1), classes)
        rows = ops.reshape(distances, (-1, before * after, classes))
        if pairs is None:
            mine = ops.sum(rows * own[:, None], axis=-1)
            pairs = ops.argmin(ops.stop_gradient(mine), axis=-1)
        chosen = ops.one_hot(pairs, before * after)
        here = ops.sum(rows * chosen[:, :, None], axis=1)
        lacking = ops.relu(self.margin - here)
        pull = ops.sum(own * here, axis=-1)
        push = ops.sum((1.0 - own) * lacking, axis=-1)
        return _counted(pull + self.push * push, labels, classes)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "margin": self.margin,
            "push": self.push,
        }


def _split(labels: Any, effects: int) -> tuple[Any, Any]:
    """Return class numbers, and the number of each boundary pair or None."""
    labels = ops.cast(labels, "int32")
    if len(labels.shape) == 2 and labels.shape[-1] == 3:
        return labels[:, 0], labels[:, 1] * effects + labels[:, 2]
    _refuse_vectors(labels)
    return ops.reshape(labels, (-1,)), None


def _counted(loss: Any, labels: Any, classes: int) -> Any:
    """Return the loss; 0 for negative labels, NaN for too large ones."""
    loss = ops.where(labels < classes, loss, float("nan"))
    return ops.where(labels < 0, ops.zeros_like(loss), loss)


def _refuse_vectors(labels: Any) -> None:
    shape = tuple(labels.shape)
    if len(shape) > 1 and shape[-1] != 1:
        raise SpecError(
            "Labels must be class numbers, (B,). Received: labels of shape "
            f"{shape}. For several classes at once use "
            "training.compile(..., multi_label=True)."
        )


def _refuse_boundaries(logits: Any) -> None:
    if len(logits.shape) > 3:
        raise SpecError(
            "These are the logits of every boundary, "
            f"{tuple(logits.shape)}, which cross-entropy would mix up with "
            "clips. Train them with ContrastiveCosine, as training.compile "
            "does, or build the model without every_boundary."
        )


@keras.saving.register_keras_serializable(package="keras_twostream")
class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of clips whose largest logit is their class.

    Clips whose label is negative do not count, as in `CrossEntropy`, and a
    logit that is no number is wrong. With logits of every step their mean is
    used, and with those of every boundary the largest of each class; labels
    that include boundaries give their class.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        if len(y_pred.shape) == 4:
            y_true, _ = _split(y_true, y_pred.shape[2])
            y_pred = ops.max(y_pred, axis=(1, 2))
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        y_true = ops.reshape(y_true, (-1,))
        counted = ops.cast(y_true >= 0, "float32")
        lost = ops.any(ops.isnan(y_pred), axis=-1)
        y_true = ops.where(lost, -ops.ones_like(y_true), y_true)
        if sample_weight is not None:
            counted *= ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        super().update_state(y_true, y_pred, counted)
