"""Warping of regions of frames to the network's size.

As in R-CNN (Girshick et al. 2014, appendix A) with `context` pixels around
the region: the box grows about its centre so that the original box fills the
crop except for a border, is rounded to pixels and cut to the frame. The part
inside the frame is resized bilinearly without antialiasing, and the rest is
filled. `warp` does it with tensors, on the network's device; `warp_on_host`
with OpenCV, which on a processor takes a thirtieth of the time.
"""

from typing import Any

import numpy as np
from keras import ops

from keras_twostream._opencv import cv2


def warp(
    images: Any,
    places: Any,
    boxes: Any,
    size: tuple[int, int],
    context: int = 16,
    fill: Any = 0.0,
) -> Any:
    """Warp regions of images to one size.

    Args:
        images: (N, H, W, C) float.
        places: (B,) int, image number of each region.
        boxes: (B, 4) inclusive, at least partly within the image.
        size: (height, width) of the crops.
        context: Pixels of a crop outside its box, on every side.
        fill: One number, or C numbers, for pixels outside the image: the
            value that the network's normalisation maps to 0.

    Returns:
        (B, height, width, C) float32.
    """
    images = ops.cast(images, "float32")
    count, height, width, channels = images.shape
    boxes = ops.cast(boxes, "float32")
    rows, seen = _axis(boxes[:, 1], boxes[:, 3], height, size[0], context)
    columns, shown = _axis(boxes[:, 0], boxes[:, 2], width, size[1], context)
    lines = ops.reshape(images, (count, height, width * channels))
    if count > 1:
        lines = ops.take(lines, ops.cast(places, "int32"), axis=0)
    # Two matrix products: on a CPU, gathers are several times slower.
    lines = ops.matmul(rows, lines)
    lines = ops.reshape(lines, (-1, size[0], width, channels))
    lines = ops.reshape(
        ops.transpose(lines, (0, 1, 3, 2)), (-1, size[0] * channels, width)
    )
    crops = ops.matmul(lines, ops.transpose(columns, (0, 2, 1)))
    crops = ops.reshape(crops, (-1, size[0], channels, size[1]))
    crops = ops.transpose(crops, (0, 1, 3, 2))
    there = ops.logical_and(seen[:, :, None], shown[:, None])
    outside = ops.broadcast_to(
        ops.convert_to_tensor(fill, "float32"), (channels,)
    )
    return ops.where(there[..., None], crops, outside)


def warp_on_host(
    images: np.ndarray,
    places: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, int],
    context: int = 16,
    fill: Any = 0.0,
) -> np.ndarray:
    """Warp regions of images to one size with OpenCV.

    Args:
        images, places, boxes, size, context, fill: As for `warp`.

    Returns:
        (B, height, width, C) float32, equal to `warp` up to rounding.
    """
    boxes = np.asarray(boxes, np.float32)
    shape = len(boxes), *size, images.shape[3]
    crops = np.empty(shape, np.float32)
    crops[:] = np.asarray(fill, np.float32)
    rows = _spans(boxes[:, 1], boxes[:, 3], images.shape[1], size[0], context)
    columns = _spans(
        boxes[:, 0], boxes[:, 2], images.shape[2], size[1], context
    )
    for crop, place, row, column in zip(
        crops, places, rows, columns, strict=True
    ):
        (top, low, y, tall), (left, right, x, wide) = row, column
        if tall > 0 and wide > 0:
            seen = images[place, top:low, left:right].astype(np.float32)
            seen = cv2.resize(seen, (wide, tall)).reshape(tall, wide, -1)
            crop[y : y + tall, x : x + wide] = seen
    return crops


def _spans(low, high, length: int, size: int, context: int) -> list[list[int]]:
    """Return one axis's first and last pixel + 1, place and size in crops."""
    half = (high - low + 1.0) / 2.0
    centre, reach = low + half, half * (size / (size - 2.0 * context))
    first, last = np.floor(centre - reach + 0.5), np.floor(centre + reach + 0.5)
    zoom = size / (last - first + 1.0)
    lead = np.floor(np.maximum(-first, 0.0) * zoom + 0.5)
    start = np.clip(first, 0.0, length - 1.0)
    seen = np.clip(last, 0.0, length - 1.0) - start + 1.0
    wide = np.minimum(np.floor(seen * zoom + 0.5), size - lead)
    spans = np.stack([start, start + seen, lead, wide], axis=1)
    return spans.astype(int).tolist()


def _axis(low, high, length: int, size: int, context: int):
    """Return one axis's (B, size, length) weights and (B, size) visibility."""
    half = (high - low + 1.0) / 2.0
    centre, reach = low + half, half * (size / (size - 2.0 * context))
    first, last = _rounded(centre - reach), _rounded(centre + reach)
    zoom = size / (last - first + 1.0)
    lead = _rounded(ops.maximum(-first, 0.0) * zoom)
    start = ops.clip(first, 0.0, length - 1.0)
    seen = ops.clip(last, 0.0, length - 1.0) - start + 1.0
    wide = ops.minimum(_rounded(seen * zoom), size - lead)
    step = ops.arange(size, dtype="float32")[None] - lead[:, None]
    there = ops.logical_and(step >= 0, step < wide[:, None])
    scale = seen / ops.maximum(wide, 1.0)
    point = (step + 0.5) * scale[:, None] - 0.5
    point = ops.clip(point, 0.0, seen[:, None] - 1.0) + start[:, None]
    return _tent(point, length), there


def _tent(points, length: int):
    """Return the bilinear weights of pixels 0..length-1 at each point."""
    pixels = ops.arange(length, dtype="float32")
    return ops.relu(1.0 - ops.abs(points[..., None] - pixels))


def _rounded(values):
    """Round with halves up, as MATLAB rounds positive numbers."""
    return ops.floor(values + 0.5)
