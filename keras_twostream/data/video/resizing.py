"""Sizes of frames, and resizing."""

from typing import Any

import numpy as np

from keras_twostream._opencv import cv2

SIZING = ("short_side", "resize_to", "cut_to", "resize_filter")


def fit_size(
    size: tuple[int, int],
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Return the (height, width) to which a frame of `size` is resized.

    Args:
        size: (height, width) of the frame, in pixels.
        short_side: Length of the short side in pixels, aspect ratio kept.
        resize_to: (height, width), aspect ratio given up.

    Returns:
        (height, width); `size` itself when neither is given.
    """
    if resize_to is not None:
        height, width = resize_to
        return height, width
    height, width = size[:2]
    if short_side is None:
        return height, width
    scale = short_side / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def sizing(spec: Any) -> dict[str, Any]:
    """Return the arguments of `fitted` for a spec or a cache's contract."""
    return {name: getattr(spec, name) for name in SIZING}


def fitted_size(
    size: tuple[int, int],
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
    cut_to: tuple[int, int] | None = None,
    resize_filter: str = "area",
) -> tuple[int, int]:
    """Return the (height, width) of a frame of `size` after `fitted`."""
    del resize_filter
    height, width = fit_size(size, short_side, resize_to)
    if cut_to is None:
        return height, width
    return min(height, cut_to[0]), min(width, cut_to[1])


def fitted(
    image: np.ndarray,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
    cut_to: tuple[int, int] | None = None,
    resize_filter: str = "area",
) -> np.ndarray:
    """Resize one image, and cut out its middle if wanted.

    Args:
        image: (H, W, C), uint8 or float32.
        short_side: See `fit_size`.
        resize_to: See `fit_size`.
        cut_to: (height, width) of the middle, or None for all.
        resize_filter: See `resize`.

    Returns:
        (height, width, C).
    """
    size = fit_size(image.shape[:2], short_side, resize_to)
    return cut_middle(resize(image, size, resize_filter), cut_to)


def cut_middle(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Return the middle of an image, (height, width) large or smaller."""
    if size is None:
        return image
    height, width = map(min, image.shape[:2], size)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def resize(
    image: np.ndarray, size: tuple[int, int], resize_filter: str = "area"
) -> np.ndarray:
    """Resize one image.

    Args:
        image: (H, W, C), uint8 or float32.
        size: (height, width) wanted.
        resize_filter: "area" averages when shrinking and interpolates
            otherwise; "bilinear" interpolates always.

    Returns:
        (height, width, C), the image itself if it has that size.
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size):
        return image
    shrinks = size[0] <= height and size[1] <= width
    averages = shrinks and resize_filter == "area"
    how = cv2.INTER_AREA if averages else cv2.INTER_LINEAR
    resized = cv2.resize(
        np.ascontiguousarray(image), (size[1], size[0]), interpolation=how
    )
    return resized.reshape(*size, image.shape[2])


def resize_all(frames: np.ndarray, **how: Any) -> np.ndarray:
    """Resize (N, H, W, C) frames, all in the same way, as `fitted` does."""
    size = frames.shape[1:3]
    resized = fit_size(size, how.get("short_side"), how.get("resize_to"))
    if resized == fitted_size(size, **how) == size:
        return frames
    return np.stack([fitted(frame, **how) for frame in frames])
