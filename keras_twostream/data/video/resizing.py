"""Sizes of frames, and bringing frames to them."""

import numpy as np

from keras_twostream._opencv import cv2


def fit_size(
    size: tuple[int, int],
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """The (height, width) a frame of `size` is brought to.

    Args:
        size: (height, width) of the frame, in pixels.
        short_side: Pixels of the short side, aspect ratio kept.
        resize_to: (height, width), aspect ratio given up.

    Returns:
        (height, width); `size` itself when neither is given.
    """
    if resize_to is not None:
        return tuple(resize_to)
    height, width = size[:2]
    if short_side is None:
        return height, width
    scale = short_side / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes one image; averages when shrinking, interpolates otherwise.

    Args:
        image: (H, W, C), uint8 or float32.
        size: (height, width) wanted.

    Returns:
        (height, width, C), the image itself when it has that size.
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size):
        return image
    shrinks = size[0] <= height and size[1] <= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(
        np.ascontiguousarray(image), (size[1], size[0]), interpolation=how
    )
    return resized.reshape(*size, image.shape[2])


def resize_all(
    frames: np.ndarray,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> np.ndarray:
    """Resizes a stack of frames alike.

    Args:
        frames: (N, H, W, C).
        short_side: See `fit_size`.
        resize_to: See `fit_size`.

    Returns:
        (N, height, width, C).
    """
    size = fit_size(frames.shape[1:3], short_side, resize_to)
    if size == frames.shape[1:3]:
        return frames
    return np.stack([resize(frame, size) for frame in frames])
