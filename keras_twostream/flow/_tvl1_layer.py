"""TV-L1 as a Keras layer: clips of frames in, flow fields out."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.errors import SpecError
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
        self.pairs = None if pairs is None else _as_pairs(pairs)
        self.parameters = {
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
        first, second = self._frames(frames.shape[1])
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
        return (batch, len(self._frames(length)[0]), height, width, 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pairs": self.pairs, **self.parameters}

    def _frames(self, length: int | None) -> tuple[list[int], list[int]]:
        """Frame numbers that fields start from and point to."""
        if self.pairs is None:
            if length is None or length < 2:
                raise SpecError(
                    "TVL1 needs clips of a fixed length of two frames or "
                    f"more. Received: T={length}"
                )
            return list(range(length - 1)), list(range(1, length))
        first, second = zip(*self.pairs, strict=True)
        last = max(*first, *second)
        if length is not None and last >= length:
            raise SpecError(
                f"TVL1's pairs reach frame {last}, and clips must be longer "
                f"than that. Received: T={length}"
            )
        return list(first), list(second)


def _as_pairs(pairs: Sequence[Sequence[int]]) -> list[list[int]]:
    pairs = [[int(number) for number in pair] for pair in pairs]
    if not pairs or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise SpecError(
            "`pairs` must be a list of frame numbers (from, to), 0 or more. "
            f"Received: pairs={pairs!r}"
        )
    return pairs
