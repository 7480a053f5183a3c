"""Geometry of boxes: areas, overlaps, and suppression of near duplicates.

A box is (x1, y1, x2, y2) in pixels and inclusive: it contains the pixels at
both corners, so that a box of one pixel has x1 = x2 and an area of 1.
"""

from typing import Any

import numpy as np

from keras_twostream.errors import SpecError


def as_boxes(values: Any, where: str = "`boxes`") -> np.ndarray:
    """Return the values as boxes, checked.

    Args:
        values: Values of an array (N, 4), which may be empty.
        where: Name of the values in errors.

    Returns:
        (N, 4) float32.

    Raises:
        SpecError: If the shape is wrong, a number is not finite, or a box
            ends before it starts.
    """
    boxes = np.asarray(values, np.float32)
    if not boxes.size:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise SpecError(
            f"{where} must be finite numbers of shape (N, 4), x1, y1, x2, y2. "
            f"Received: shape={boxes.shape}"
        )
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        raise SpecError(
            f"{where} must end where they start or later, x1 <= x2 and y1 <= "
            "y2; boxes of x, y, width, height are converted by "
            "`keras_twostream.detection.geometry.from_sizes`. Received: "
            f"{boxes[wrong][0].tolist()}"
        )
    return boxes


def from_sizes(values: Any) -> np.ndarray:
    """Convert boxes of (x, y, width, height) to inclusive corners.

    Args:
        values: (N, 4).

    Returns:
        (N, 4) float32.

    Raises:
        SpecError: If a width or height is below 1.
    """
    boxes = np.array(values, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2] - 1
    return as_boxes(boxes)


def clip(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Clip boxes to an image; boxes outside of it shrink to its edge."""
    edges = np.array([width - 1, height - 1] * 2, np.float32)
    return np.clip(boxes, 0, edges)


def check_places(
    boxes: np.ndarray, height: int, width: int, where: str
) -> None:
    """Refuse boxes that are in other units than the pixels of their video.

    People leave a picture, so a few boxes may lie outside of it.

    Args:
        boxes: (N, 4), the boxes of a whole video.
        height: Height of the video.
        width: Its width.
        where: Name of the boxes in errors.

    Raises:
        SpecError: If most boxes lie outside of the picture, or all are shares
            of its size.
    """
    if not len(boxes):
        return
    wanted = f"Boxes are in pixels of the video, which is {width}x{height}."
    if boxes.max() <= 1 and (boxes % 1).any():
        raise SpecError(
            f"{where} lie between 0 and 1, as shares of a width and height "
            f"do. {wanted} Received: {boxes[0].tolist()}"
        )
    beyond = (boxes[:, :2] >= (width, height)) | (boxes[:, 2:] < 0)
    outside = beyond.any(axis=1)
    if 2 * outside.sum() > len(boxes):
        raise SpecError(
            f"{where}: {outside.sum()} of {len(boxes)} lie outside of the "
            f"picture. {wanted} Received: {boxes[outside][0].tolist()}"
        )


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the (N,) numbers of pixels in the boxes."""
    sides = boxes[..., 2:] - boxes[..., :2] + 1
    return sides[..., 0] * sides[..., 1]


def sums(total: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the sums of an image over the pixels of boxes.

    Args:
        total: (H + 1, W + 1), the integral of the image, as OpenCV gives it.
        boxes: (N, 4), within the image, rounded to whole pixels here.

    Returns:
        (N,).
    """
    left, top, right, low = np.rint(boxes).astype(int).T
    right, low = right + 1, low + 1
    return (
        total[low, right]
        - total[top, right]
        - total[low, left]
        + total[top, left]
    )


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of all pairs of boxes.

    Args:
        first: (N, 4).
        second: (M, 4).

    Returns:
        (N, M), 0..1.
    """
    return aligned_overlaps(first[:, None], second[None])


def aligned_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of corresponding boxes.

    Args:
        first: (..., 4).
        second: (..., 4), of a shape that broadcasts with `first`.

    Returns:
        (...), 0..1.
    """
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    sides = np.maximum(high - low + 1, 0)
    shared = sides[..., 0] * sides[..., 1]
    return shared / (areas(first) + areas(second) - shared)


def suppress(
    boxes: np.ndarray, scores: np.ndarray, threshold: float = 0.3
) -> np.ndarray:
    """Keep the best of overlapping boxes (non-maximum suppression).

    Args:
        boxes: (N, 4).
        scores: (N,).
        threshold: Largest overlap of a kept box with a better one.

    Returns:
        Indices of the kept boxes, the best first; ties keep their order.
    """
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        shared = aligned_overlaps(boxes[best], boxes[order])
        order = order[shared <= threshold]
    return np.array(kept, int)


def voted(
    boxes: np.ndarray, scores: np.ndarray, kept: np.ndarray, threshold: float
) -> np.ndarray:
    """Return kept boxes where all boxes around each of them vote it to be.

    Box voting (Gidaris & Komodakis 2015, section 3.2): the mean of the boxes
    that overlap a kept one, here with weights of exp(score - its score), 1 at
    most.

    Args:
        boxes: (N, 4).
        scores: (N,).
        kept: (K,) indices, from `suppress`.
        threshold: Least overlap of a box that votes; 0 for no vote.

    Returns:
        (K, 4) float32.
    """
    if not threshold or not len(kept):
        return boxes[kept]
    votes = overlaps(boxes[kept], boxes) >= threshold
    apart = np.minimum(scores[None] - scores[kept, None], 0)
    weights = votes * np.exp(apart)
    totals = weights.sum(axis=1, keepdims=True)
    return (weights @ boxes / totals).astype(np.float32)
