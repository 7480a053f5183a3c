"""Loss and accuracy of logits, for heads that ignore some of the clips."""

from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError


@keras.saving.register_keras_serializable(package="keras_twostream")
class CrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of logits against class numbers.

    A clip whose label is negative adds nothing: with one head per data set,
    each head sees only its own (Simonyan & Zisserman 2014, section 4). A
    label beyond the classes makes the loss NaN.

    Args:
        label_smoothing: Share of the target given to all classes alike.
        name: Name of the loss.

    Raises:
        SpecError: If labels are vectors, when called.
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
        logits = ops.cast(y_pred, "float32")
        classes = logits.shape[-1]
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        logs = ops.log_softmax(logits, axis=-1)
        target = ops.one_hot(ops.minimum(labels, classes - 1), classes)
        picked = -ops.sum(target * logs, axis=-1)
        spread = -ops.mean(logs, axis=-1)
        smoothing = self.label_smoothing
        loss = (1.0 - smoothing) * picked + smoothing * spread
        loss = ops.where(labels < classes, loss, float("nan"))
        return ops.where(labels < 0, ops.zeros_like(loss), loss)

    def get_config(self):
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
        }


def _refuse_vectors(labels: Any) -> None:
    shape = tuple(labels.shape)
    if len(shape) > 1 and shape[-1] != 1:
        raise SpecError(
            "Labels must be class numbers, (B,). Received: labels of shape "
            f"{shape}. For several classes at once use "
            "training.compile(..., multi_label=True)."
        )


@keras.saving.register_keras_serializable(package="keras_twostream")
class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of clips whose largest logit is their class.

    Clips whose label is negative do not count, as in `CrossEntropy`.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        counted = ops.cast(ops.reshape(y_true, (-1,)) >= 0, "float32")
        if sample_weight is not None:
            counted *= ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        super().update_state(y_true, y_pred, counted)
