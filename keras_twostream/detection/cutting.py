"""Regions of frames as inputs of the network."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream import _answers, inspection
from keras_twostream._frames import padded
from keras_twostream.detection.warping import warp, warp_on_host
from keras_twostream.training._devices import has_gpu

_SIZES = (16, 64, 128)  # batch sizes


class Cutter:
    """A function that warps regions of frames into a network's inputs.

    A GPU warps them by itself.

    Args:
        model: A model of action_tubes.
    """

    def __init__(self, model: keras.Model) -> None:
        self.spec = inspection.clip_spec(model)
        self._context = inspection.region_spec(model).context
        self._warp = warp if has_gpu() else warp_on_host
        self._fill = {
            stream: _zero(layer.normalization)
            for stream, layer in inspection.stream_layers(model).items()
        }

    def __call__(
        self,
        frames: np.ndarray,
        fields: np.ndarray,
        places: np.ndarray,
        boxes: np.ndarray,
        mirrored: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Return the regions by stream.

        Args:
            frames: (N, H, W, 3) uint8.
            fields: (N, H, W, 2) flow in pixels.
            places: (B,) frame number of each region.
            boxes: (B, 4) boxes in pixels.
            mirrored: (B,) bool, the regions to flip; their u changes sign.

        Returns:
            "rgb" (B, 1, h, w, 3) and "flow" (B, 1, h, w, 2), for the streams
            of the model.
        """
        images = {"rgb": frames, "flow": fields}
        batch = {}
        for stream in self.spec.streams:
            crops = self._warp(
                images[stream],
                places,
                boxes,
                self.spec.crop,
                self._context,
                self._fill[stream],
            )
            if mirrored is not None:
                crops = _flip(crops, mirrored, stream)
            batch[stream] = crops[:, None]
        return batch


def run_on_regions(
    model: keras.Model,
    cutter: Cutter,
    frames: np.ndarray,
    fields: np.ndarray,
    places: np.ndarray,
    boxes: np.ndarray,
) -> np.ndarray:
    """Run a model on any number of regions.

    Regions are padded to batches of a few sizes, so that nothing is compiled
    twice.

    Args:
        model: A model with a single output.
        cutter: The model's cutter.
        frames: (N, H, W, 3) uint8.
        fields: (N, H, W, 2) flow in pixels.
        places: (B,) frame number of each region.
        boxes: (B, 4) boxes in pixels.

    Returns:
        (B, D) float32.
    """
    parts = [np.zeros((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(boxes), _SIZES[-1]):
        part = slice(start, start + _SIZES[-1])
        count = len(boxes[part])
        size = next(size for size in _SIZES if size >= count)
        batch = cutter(
            frames,
            fields,
            padded(places[part], size),
            padded(boxes[part], size),
        )
        values = _answers.answer(model, batch)
        parts.append(ops.convert_to_numpy(values)[:count])
    return np.concatenate(parts)


def _zero(constants: dict[str, Any]) -> Any:
    """Return the value that the normalisation maps to 0."""
    if "mean" not in constants:
        return 0.0
    mean = np.multiply(constants["mean"], constants["scale"])
    return tuple(float(x) for x in (mean[::-1] if constants["bgr"] else mean))


def _flip(crops: Any, mirrored: np.ndarray, stream: str) -> Any:
    sign = np.array([-1.0, 1.0] if stream == "flow" else [1.0] * 3, "float32")
    flipped = ops.flip(crops, axis=2) * sign
    return ops.where(mirrored[:, None, None, None], flipped, crops)
