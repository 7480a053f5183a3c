"""Grad-CAM: maps weighted by the gradient of a score, for each stream.

R. R. Selvaraju et al.: Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization. ICCV 2017. Their weight of a channel is its mean
gradient over the image; here each step of a clip has weights of its own.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.explaining._gradients import gradient
from keras_twostream.explaining._spatial_maps import Maps, Place, last_maps
from keras_twostream.inspection import folded_steps
from keras_twostream.spec import FUSED

# The stream, the part of the clip, and (B, T, H, W) float32, 0 or more.
Seen = tuple[str, Place, np.ndarray]


class GradCam:
    """Grad-CAM of one network, for clips of one shape.

    Args:
        network: A model from `scoring.scorer`.
        shapes: Shape (B, T, H, W, C) of each stream's clips.

    Raises:
        SpecError: If a stream has no maps.
    """

    def __init__(
        self, network: keras.Model, shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        score = network.output[FUSED]
        self._names = [tensor.name for tensor in network.inputs]
        self._maps = last_maps(score, network.inputs, shapes)
        tensors = [maps.tensor for maps in self._maps]
        self._front = keras.Function(list(network.inputs), tensors)
        self._backs = [
            keras.Function([tensor, *network.inputs], score)
            for tensor in tensors
        ]

    def __call__(
        self, clips: Mapping[str, np.ndarray], label: int
    ) -> list[Seen]:
        """Return where the network looks in some clips, for one class."""
        inputs = [
            ops.convert_to_tensor(clips[name], "float32")
            for name in self._names
        ]
        return [
            (maps.stream, maps.place, _weighed(maps, values, slope))
            for maps, values, slope in self._slopes(inputs, label)
        ]

    def _slopes(self, inputs: list[Any], label: int):
        """Yield maps, their values, and the score's gradient with respect."""
        values = self._front(inputs)
        for maps, value, back in zip(
            self._maps, values, self._backs, strict=True
        ):

            def score(tensor: Any, back: Any = back) -> Any:
                return ops.sum(back([tensor, *inputs])[:, label])

            yield maps, value, gradient(score, value)


def _weighed(maps: Maps, values: Any, slope: Any) -> np.ndarray:
    """Return (B, T, H, W): channels weighed by their mean gradients."""
    values, slope = (ops.cast(x, "float32") for x in (values, slope))
    weights = ops.mean(slope, axis=(-3, -2), keepdims=True)
    seen = ops.relu(ops.sum(weights * values, axis=-1))
    steps = folded_steps(maps.tensor)
    if steps is not None:
        seen = ops.reshape(seen, (-1, steps, *seen.shape[1:]))
    return ops.convert_to_numpy(ops.stop_gradient(seen))
