"""Image operations on planes (..., H, W), in keras.ops alone."""

from typing import Any

import numpy as np
from keras import ops

_GREY = (0.299, 0.587, 0.114)


def grey_planes(images: Any) -> Any:
    """Return grey or RGB images as grey float32 planes (B, H, W).

    Args:
        images: (B, H, W), (B, H, W, 1) or (B, H, W, 3) RGB.
    """
    images = ops.cast(images, "float32")
    if len(images.shape) == 3:
        return images
    if images.shape[-1] == 1:
        return images[..., 0]
    return sum(weight * images[..., c] for c, weight in enumerate(_GREY))


# === Differences ===


def forward_differences(planes: Any) -> tuple[Any, Any]:
    """Return differences to the next along x and y, zero past the border."""
    along_x = planes[..., :, 1:] - planes[..., :, :-1]
    along_y = planes[..., 1:, :] - planes[..., :-1, :]
    return _pad(along_x, (0, 0), (0, 1)), _pad(along_y, (0, 1), (0, 0))


def divergence(along_x: Any, along_y: Any) -> Any:
    """Return minus the adjoint of `forward_differences`."""
    from_left = _pad(along_x[..., :, :-1], (0, 0), (1, 0))
    from_above = _pad(along_y[..., :-1, :], (1, 0), (0, 0))
    return along_x - from_left + along_y - from_above


def central_differences(planes: Any) -> tuple[Any, Any]:
    """Return central differences along x and y, with the border repeated."""
    wide, tall = _repeat_border(planes, -1, 1), _repeat_border(planes, -2, 1)
    along_x = (wide[..., :, 2:] - wide[..., :, :-2]) / 2
    along_y = (tall[..., 2:, :] - tall[..., :-2, :]) / 2
    return along_x, along_y


def _pad(planes: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    leading = [(0, 0)] * (len(planes.shape) - 2)
    return ops.pad(planes, [*leading, rows, columns])


def _repeat_border(planes: Any, axis: int, width: int) -> Any:
    if axis == -1:
        start, end = planes[..., :, :1], planes[..., :, -1:]
    else:
        start, end = planes[..., :1, :], planes[..., -1:, :]
    parts = [start] * width + [planes] + [end] * width
    return ops.concatenate(parts, axis=axis)


# === Sampling ===


def resample(planes: Any, height: Any, width: Any) -> Any:
    """Resample planes to another size, as two matrix products.

    Every backend does those fast and differentiates them.
    """
    old_height, old_width = ops.shape(planes)[-2:]
    rows = _resampling_matrix(old_height, height)
    columns = _resampling_matrix(old_width, width)
    return ops.matmul(ops.matmul(rows, planes), ops.transpose(columns))


def _resampling_matrix(old: Any, new: Any) -> Any:
    """Return (new, old) weights: linear to enlarge, Gaussian to shrink.

    The Gaussian's width is that of Sanchez, Meinhardt-Llopis and Facciolo,
    "TV-L1 Optical Flow Estimation", IPOL 2013: 0.6 sqrt(step^2 - 1).
    """
    known = isinstance(old, int) and isinstance(new, int)
    # A constant is faster to trace and to compile than its computation.
    xp: Any = np if known else ops
    step = xp.array(old / new, dtype="float32")
    centres = (xp.arange(new, dtype="float32") + 0.5) * step - 0.5
    distance = centres[:, None] - xp.arange(old, dtype="float32")[None, :]
    variance = 0.36 * xp.maximum(step * step - 1, 1e-6)
    gaussian = xp.exp(-0.5 * distance * distance / variance)
    linear = xp.maximum(1 - xp.abs(distance), 0)
    weights = xp.where(step > 1, gaussian, linear)
    return weights / xp.sum(weights, axis=1, keepdims=True)


def linear_weights(places: Any, size: Any) -> Any:
    """Return (..., size) linear interpolation weights of an axis's points.

    Args:
        places: (...) float32, in points; all weights are zero outside.
        size: Points of the axis.
    """
    distance = places[..., None] - ops.arange(size, dtype="float32")
    return ops.relu(1 - ops.abs(distance))


def warp(planes: Any, flow: Any) -> tuple[Any, Any]:
    """Look up planes where flow points, bilinearly.

    Args:
        planes: (B, H, W).
        flow: (2, B, H, W) in pixels, x then y.

    Returns:
        (B, H, W) looked-up planes, the border repeated outside, and
        (B, H, W) float32, 1 where flow points into the image.
    """
    batch, height, width = ops.shape(planes)
    x = ops.arange(width, dtype="float32")[None, None, :] + flow[0]
    y = ops.arange(height, dtype="float32")[None, :, None] + flow[1]
    within_x, left, right, part_x = _neighbours(x, width)
    within_y, above, below, part_y = _neighbours(y, height)
    image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
    values = ops.reshape(planes, (-1,))

    def row(number):
        start = (image * height + number) * width
        at_left, at_right = (
            ops.take(values, start + left),
            ops.take(values, start + right),
        )
        return at_left + part_x * (at_right - at_left)

    top = row(above)
    warped = top + part_y * (row(below) - top)
    inside = ops.cast(ops.logical_and(within_x, within_y), "float32")
    return warped, inside


def _neighbours(place: Any, size: Any) -> tuple[Any, Any, Any, Any]:
    """Return whether a place is inside, its neighbours, the second's share."""
    last = ops.cast(size - 1, "float32")
    clipped = ops.clip(place, 0.0, last)
    lower = ops.stop_gradient(ops.floor(clipped))
    start = ops.cast(lower, "int32")
    end = ops.minimum(start + 1, size - 1)
    return ops.equal(place, clipped), start, end, clipped - lower


# === Median ===


def median(planes: Any) -> Any:
    """Return the median of five along each row, then along each column."""
    return median_of_columns(median_of_rows(planes))


def median_of_rows(planes: Any) -> Any:
    """Return the median of five neighbours along each row."""
    width = ops.shape(planes)[-1]
    wide = _repeat_border(planes, -1, 2)
    return _median_of_five([wide[..., i : i + width] for i in range(5)])


def median_of_columns(planes: Any) -> Any:
    """Return the median of five neighbours along each column."""
    height = ops.shape(planes)[-2]
    tall = _repeat_border(planes, -2, 2)
    return _median_of_five([tall[..., i : i + height, :] for i in range(5)])


def _median_of_five(values: list[Any]) -> Any:
    a, b, c, d, e = values
    low = ops.maximum(ops.minimum(a, b), ops.minimum(c, d))
    high = ops.minimum(ops.maximum(a, b), ops.maximum(c, d))
    return ops.maximum(
        ops.minimum(low, high), ops.minimum(ops.maximum(low, high), e)
    )
