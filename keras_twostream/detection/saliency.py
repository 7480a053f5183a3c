"""Motion saliency: a measure of the motion within regions.

Gkioxari & Malik 2015, section 3.1, in two variants: the paper's mean of the
flow's magnitude within a region, and the authors' code, which requires a share
of all salient pixels of the frame.
"""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.detection.geometry import areas, sums

_FILTER = (5, 5)
_LEVEL = 0.2  # threshold of salience, or this share of the largest:
_SHARE = 0.7


def magnitude(
    flow: np.ndarray, bound: float = 8.0, stabilise: bool = False
) -> np.ndarray:
    """Return |flow| at the byte image's precision, in units of the bound.

    Args:
        flow: (H, W, 2) in pixels.
        bound: Largest displacement of the byte image, in pixels.
        stabilise: Whether to subtract the median displacement first, which
            is the camera's where most of the picture stands still.

    Returns:
        (H, W) float32, 0..127/128.
    """
    if stabilise:
        flow = flow - np.median(flow, axis=(0, 1))
    length = np.linalg.norm(flow, axis=-1)
    levels = np.rint(length * (128.0 / bound))
    return (np.minimum(levels, 127.0) / 128.0).astype(np.float32)


def salient_pixels(moving: np.ndarray) -> np.ndarray:
    """Return the pixels that move together with their neighbourhood.

    The magnitude times its 5x5 mean, divided by the largest magnitude, is
    thresholded at 0.2 or at 0.7 of its maximum, whichever is less. Where
    nothing moves, all pixels are salient.

    Args:
        moving: (H, W), from `magnitude`.

    Returns:
        (H, W) bool.
    """
    mean = cv2.blur(moving, _FILTER, borderType=cv2.BORDER_CONSTANT)
    salience = mean * (moving / max(float(moving.max()), 1e-12))
    return salience >= min(_LEVEL, _SHARE * float(salience.max()))


def inclusion(boxes: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """Return the share of all salient pixels that lie in each box.

    Args:
        boxes: (N, 4), within the frame.
        salient: (H, W) bool, from `salient_pixels`.

    Returns:
        (N,), 0..1.
    """
    total = cv2.integral(salient.astype(np.uint8))
    return sums(total, boxes) / max(1, int(salient.sum()))


def mean_within(boxes: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Return the mean magnitude of the flow in each box.

    Args:
        boxes: (N, 4), within the frame.
        moving: (H, W), from `magnitude`.

    Returns:
        (N,).
    """
    total = cv2.integral(moving.astype(np.float64))
    return sums(total, boxes) / areas(np.rint(boxes))
