"""RAFT as a Keras layer: clips of frames in, flow fields out."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twostream.errors import check_choice, check_count
from keras_twostream.flow import _weights
from keras_twostream.flow._clip_pairs import as_pairs, frame_numbers
from keras_twostream.flow._raft import Refinement
from keras_twostream.flow._raft_encoder import SIZES, STRIDE, Encoder

SMALLEST = 128  # px of a side, so that the coarsest correlations have 2 places
UPDATES = 12


@keras.saving.register_keras_serializable(package="keras_twostream")
class RAFT(keras.layers.Layer):
    """Learned optical flow between frames of a clip, inside the graph.

    Teed and Deng 2020. It computes in float32 under every dtype policy.
    Frames whose sides are not divisible by 8, or below 128 px, are enlarged
    by repeating their borders, half on each side as the authors do, and the
    field is cut back. To train through it on a CPU with TensorFlow 2.21, set
    `TF_ENABLE_ONEDNN_OPTS=0`: its oneDNN crashes in the backward pass.

    Args:
        network: "raft_small" (1.0 M parameters) or "raft_large" (5.3 M).
        pairs: Frame numbers (from, to) of each flow field; each frame with
            the next one by default.
        updates: Number of corrections. The cost is nearly proportional to
            it; 4 give coarse flow in a third of the time of 12.
        weights: "default" for torchvision's, the name of a weight
            ("raft_small.c_t_v2"), the path of a PyTorch or safetensors file
            under torchvision's keys, or None for random ones. A saved model
            carries its weights.
        **kwargs: Keras's own, such as `name`.

    Input shape:
        (B, T, H, W, 3) RGB or (B, T, H, W, 1) grey, 0..255. H and W are free.

    Output shape:
        (B, N, H, W, 2), displacement in pixels, x then y; N is T - 1 or the
        number of pairs.

    Raises:
        SpecError: If an argument is not as above.
        WeightsError: If the weights cannot be fetched or verified.

    Example:
        >>> flow.RAFT("raft_small", updates=4)(frames)
    """

    def __init__(
        self,
        network: str = "raft_small",
        pairs: Sequence[Sequence[int]] | None = None,
        *,
        updates: int = UPDATES,
        weights: str | None = _weights.DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_parameters(network, updates)
        size = SIZES[network]
        self.network, self.updates = network, updates
        self.pairs = as_pairs(pairs)
        self.feature_encoder = Encoder(
            size, size.features, "instance", "feature_encoder"
        )
        self.context_encoder = Encoder(
            size,
            size.hidden + size.context,
            "batch" if size.context_norm else "none",
            "context_encoder",
        )
        self.refinement = Refinement(size, updates)
        if weights is not None:
            _weights.fill(network, weights, self.by_key())

    def by_key(self) -> dict[str, Any]:
        """Return the variables by key, as "feature_encoder_conv.kernel"."""
        paths = [variable.path.split("/") for variable in self.weights]
        keys = [".".join(path[-2:]) for path in paths]
        return dict(zip(keys, self.weights, strict=True))

    def call(self, frames: Any) -> Any:
        first, second = frame_numbers(self.pairs, frames.shape[1], "RAFT")
        batch, _, height, width, _ = ops.shape(frames)
        seen, starts = sorted({*first, *second}), sorted({*first})
        features = _encoded(self.feature_encoder, frames, seen)
        context = _encoded(self.context_encoder, frames, starts)
        fields = self.refinement(
            _chosen(features, [seen.index(number) for number in first]),
            _chosen(features, [seen.index(number) for number in second]),
            _chosen(context, [starts.index(number) for number in first]),
        )
        top, left = margin(height)[0], margin(width)[0]
        fields = fields[:, top : top + height, left : left + width]
        return ops.reshape(fields, (batch, len(first), height, width, 2))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        batch, length, height, width, _ = input_shape
        first, _ = frame_numbers(self.pairs, length, "RAFT")
        return (batch, len(first), height, width, 2)

    def get_config(self) -> dict[str, Any]:
        own = {
            "network": self.network,
            "pairs": self.pairs,
            "updates": self.updates,
            "weights": None,  # those of the saved file are filled in
        }
        return {**super().get_config(), **own}


def margin(size: Any) -> tuple[Any, Any]:
    """Return the pixels added to an axis before and after the image."""
    if isinstance(size, int):
        wanted = max(-(-size // STRIDE) * STRIDE, SMALLEST)
    else:
        wanted = ops.maximum(-(-size // STRIDE) * STRIDE, SMALLEST)
    before = (wanted - size) // 2
    return before, wanted - size - before


def check_parameters(network: str, updates: int) -> None:
    """Refuse unknown networks and impossible numbers of updates.

    Raises:
        SpecError: If either is wrong.
    """
    check_choice("network", network, SIZES)
    check_count("updates", updates)


def _encoded(encoder: Encoder, frames: Any, numbers: list[int]) -> Any:
    """Return features (B, len(numbers), h, w, C) of some frames."""
    batch, _, height, width, channels = ops.shape(frames)
    images = ops.take(frames, numbers, axis=1)
    images = ops.reshape(images, (-1, height, width, channels))
    for axis, size in ((1, height), (2, width)):
        before, after = margin(size)
        places = ops.arange(size + before + after, dtype="int32") - before
        images = ops.take(images, ops.clip(places, 0, size - 1), axis=axis)
    if images.shape[-1] == 1:
        images = ops.repeat(images, 3, axis=-1)
    features = encoder(images)
    _, height, width, channels = ops.shape(features)
    return ops.reshape(features, (batch, len(numbers), height, width, channels))


def _chosen(features: Any, places: list[int]) -> Any:
    """Take (B, N, h, w, C) at `places` of axis 1, as (-1, h, w, C)."""
    _, _, height, width, channels = ops.shape(features)
    chosen = ops.take(features, places, axis=1)
    return ops.reshape(chosen, (-1, height, width, channels))
