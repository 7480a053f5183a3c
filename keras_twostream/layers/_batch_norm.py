"""Batch normalisation that is one kernel on PyTorch.

Keras on PyTorch normalises step by step in float32: a dozen passes over the
activations, which take a GPU several times as long as the convolutions around
them. PyTorch's own kernel reads them twice and gives the same numbers.
"""

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
            return self._in_one_kernel(inputs, training and self.trainable)
        return super().call(inputs, training=training, mask=mask)

    def _in_one_kernel(self, inputs, training: bool):
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

    def _move(self, average: Any, before: Any, seen: Any) -> None:
        average.assign(before * self.momentum + seen * (1.0 - self.momentum))
