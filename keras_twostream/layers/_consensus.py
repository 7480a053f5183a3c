"""One score from the scores of a video's segments.

L. Wang et al.: Temporal Segment Networks. ECCV 2016, arXiv 1608.00859,
section 3.1, and for top-k and attention its journal version, TPAMI 2019,
arXiv 1705.02953.
"""

from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError, check_choice

CONSENSUSES = ("average", "max", "weighted", "top_k", "attention")


@keras.saving.register_keras_serializable(package="keras_twostream")
class SegmentConsensus(keras.layers.Layer):
    """One score per class from K segments' scores, before the softmax.

    Args:
        method: "average", "max", "weighted" (one learned weight per segment,
            shared by the classes, 1 / K at the start), "top_k" (mean of each
            class's k best segments) or "attention" (weights that a linear
            layer draws from the segments' features; equal at the start).
        k: Segments kept by top_k, K at most.

    Input shape:
        `(B, K, num_classes)`; attention takes a list of that and of the
        segments' features `(B, K, D)`.

    Output shape:
        `(B, num_classes)`, float32.

    Raises:
        SpecError: If the method has no such name, or k is not positive.
    """

    def __init__(
        self, method: str = "average", k: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_choice("consensus", method, CONSENSUSES)
        if k < 1:
            raise SpecError(f"`k` must be 1 segment or more. Received: k={k!r}")
        self.method = method
        self.k = k

    def build(self, input_shape):
        self.kernel = None
        if self.method == "weighted":
            segments = input_shape[1]
            self.kernel = self.add_weight(
                name="kernel",
                shape=(segments, 1),
                initializer=keras.initializers.Constant(1 / segments),
            )
        if self.method == "attention":
            self.kernel = self.add_weight(
                name="kernel",
                shape=(input_shape[1][-1], 1),
                initializer="zeros",
            )

    def call(self, inputs):
        if self.method == "average":
            return ops.mean(inputs, axis=1)
        if self.method == "max":
            return ops.max(inputs, axis=1)
        if self.method == "top_k":
            return self._top_k(inputs)
        if self.method == "weighted":
            return ops.sum(inputs * self.kernel, axis=1)
        scores, features = inputs
        attention = ops.softmax(ops.matmul(features, self.kernel), axis=1)
        return ops.sum(attention * scores, axis=1)

    def _top_k(self, scores):
        by_class = ops.transpose(scores, (0, 2, 1))
        best, _ = ops.top_k(by_class, min(self.k, scores.shape[1]))
        return ops.mean(best, axis=-1)

    def compute_output_shape(self, input_shape):
        if self.method == "attention":
            input_shape = input_shape[0]
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "method": self.method, "k": self.k}
