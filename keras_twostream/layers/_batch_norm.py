"""Batch normalisation that is one kernel on PyTorch and TensorFlow.

Keras on PyTorch normalises step by step in float32: a dozen passes over the
activations, which take a GPU several times as long as the convolutions around
them. PyTorch's own kernel reads them twice and gives the same numbers. In
training TensorFlow's does so, too, and replaces 75 operations of the step's
graph, each of which has to be traced and optimised before the first step.
"""

import math
from typing import Any

import keras
from keras import ops

_tensor = ops.convert_to_tensor


@keras.saving.register_keras_serializable(package="keras_twostream")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with Keras's arguments, weights and numbers.

    Input shape:
        `(B, ..., C)`

    Output shape:
        The same.
    """

    def call(self, inputs, training=None, mask=None):
        renorm = getattr(self, "renorm", False)  # Keras has it from 3.15 on
        alone = mask is None and not renorm and not self.synchronized
        if keras.backend.backend() == "torch" and alone:
            return self._in_torch(inputs, training and self.trainable)
        if keras.backend.backend() == "tensorflow" and alone:
            last = self.axis in (-1, len(inputs.shape) - 1)
            # The kernel's averages are of float32, whatever it normalises.
            fits = last and self.variable_dtype == "float32"
            if training and self.trainable and fits:
                return self._in_tensorflow(inputs)
            # At test time TensorFlow would join that kernel to the ReLU behind
            # it, which makes Inception v3 nine times as slow on a CPU.
        return super().call(inputs, training=training, mask=mask)

    def _in_torch(self, inputs, training: bool):
        import torch

        mean = _tensor(self.moving_mean)
        variance = _tensor(self.moving_variance)
        known = (None, None) if training else (mean, variance)
        normalise: Any = torch.native_batch_norm  # its stub has no flag
        outputs, seen_mean, seen_scale = normalise(
            inputs.movedim(self.axis, 1),
            # On CUDA the gradient needs both, though one may be left out.
            _tensor(self.gamma) if self.scale else torch.ones_like(mean),
            _tensor(self.beta) if self.center else torch.zeros_like(mean),
            *known,
            bool(training),
            0.0,
            self.epsilon,
        )
        if training:
            # PyTorch's own moving average takes n / (n - 1) of the variance.
            seen_variance = seen_scale.detach() ** -2 - self.epsilon
            seen_variance = seen_variance.clamp_min(0)  # rounding
            self._move(self.moving_mean, mean, seen_mean.detach())
            self._move(self.moving_variance, variance, seen_variance)
        return outputs.movedim(1, self.axis)

    def _in_tensorflow(self, inputs):
        import tensorflow as tf

        wide = ops.cast(
            inputs, keras.backend.result_type(inputs.dtype, "float32")
        )
        shape, rows = ops.shape(wide), wide
        if len(shape) != 4:  # as the kernel wants; places are alike to it
            rows = ops.reshape(wide, (-1, 1, 1, shape[-1]))
        channels = shape[-1:]
        gamma = _tensor(self.gamma) if self.scale else ops.ones(channels)
        beta = _tensor(self.beta) if self.center else ops.zeros(channels)
        # Its moving average takes n / (n - 1) of the variance.
        larger = _unbiased(shape)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            rows,
            gamma,
            beta,
            _tensor(self.moving_mean),
            _tensor(self.moving_variance) * larger,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance / larger)
        if len(shape) != 4:
            outputs = ops.reshape(outputs, shape)
        return ops.cast(outputs, self.compute_dtype)

    def _move(self, average: Any, before: Any, seen: Any) -> None:
        average.assign(before + (seen - before) * (1.0 - self.momentum))


def _unbiased(shape: tuple) -> Any:
    """Return n / (n - 1) of the n values of each channel; 1 of a single one."""
    *sides, _ = shape
    if all(isinstance(side, int) for side in sides):
        count = math.prod(sides)
        return count / max(count - 1, 1)
    count = ops.cast(ops.prod(ops.stack(sides)), "float32")
    return count / ops.maximum(count - 1.0, 1.0)
