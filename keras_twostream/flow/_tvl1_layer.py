"""TV-L1 as a Keras layer: clips of frames in, flow fields out."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.flow._clip_pairs import as_pairs, frame_numbers
from keras_twostream.flow._tvl1 import check_parameters, tvl1


@keras.saving.register_keras_serializable(package="keras_twostream")
class TVL1(keras.layers.Layer):
    """Optical flow between frames of a clip, inside the graph.

    It has no weights, is differentiable with respect to the frames, and
    computes in float32 under every dtype policy: under half precision the
    iterations would not converge.

    Args:
        pairs: Frame numbers (from, to) of each flow field; each frame with
            the next one by default.
        **parameters: `scales`, `scale_step`, `warps`, `iterations`, `tau`,
            `lambda_`, `theta`, `texture`, `median_filter` as in
            `keras_twostream.flow.tvl1`, and `name`.

    Input shape:
        (B, T, H, W, 3) RGB or (B, T, H, W, 1) grey, 0..255. H and W are free.

    Output shape:
        (B, N, H, W, 2), displacement in pixels, x then y; N is T - 1 or the
        number of pairs.

    Example:
        >>> flow.TVL1(iterations=10)(frames)
    """

    def __init__(
        self,
        pairs: Sequence[Sequence[int]] | None = None,
        *,
        scales: int = 5,
        scale_step: float = 0.5,
        warps: int = 5,
        iterations: int = 15,
        tau: float = 0.25,
        lambda_: float = 0.6,
        theta: float = 0.3,
        texture: float = 0.95,
        median_filter: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        check_parameters(
            scales, scale_step, warps, iterations, tau, lambda_, theta, texture
        )
        self.pairs = as_pairs(pairs)
        self.parameters: dict[str, Any] = {
            "scales": scales,
            "scale_step": scale_step,
            "warps": warps,
            "iterations": iterations,
            "tau": tau,
            "lambda_": lambda_,
            "theta": theta,
            "texture": texture,
            "median_filter": median_filter,
        }

    def call(self, frames: Any) -> Any:
        first, second = frame_numbers(self.pairs, frames.shape[1], "TVL1")
        batch, _, height, width, channels = ops.shape(frames)
        flow = tvl1(
            ops.reshape(
                ops.take(frames, first, axis=1),
                (-1, height, width, channels),
            ),
            ops.reshape(
                ops.take(frames, second, axis=1),
                (-1, height, width, channels),
            ),
            **self.parameters,
        )
        return ops.reshape(flow, (batch, len(first), height, width, 2))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        batch, length, height, width, _ = input_shape
        first, _ = frame_numbers(self.pairs, length, "TVL1")
        return (batch, len(first), height, width, 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pairs": self.pairs, **self.parameters}
