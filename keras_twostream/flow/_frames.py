"""Checks of frames, and grey frames, for the computation of flow."""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.errors import SpecError


def checked(frames: np.ndarray) -> np.ndarray:
    """Return frames to compute flow from, uint8 where they were uint8.

    Args:
        frames: (T, H, W, 3) RGB or (T, H, W) grey, uint8 or float, 0..255.

    Returns:
        Frames of the same shape, uint8 or float32.

    Raises:
        SpecError: If the frames have another shape, type or range.
    """
    frames = np.asarray(frames)
    _check_shape(frames)
    return frames if frames.dtype == np.uint8 else _checked_floats(frames)


def to_grey(frames: np.ndarray) -> np.ndarray:
    """Return checked frames as grey images (T, H, W) of the same type."""
    if frames.ndim == 3:
        return frames
    grey = np.empty(frames.shape[:3], frames.dtype)
    for frame, place in zip(frames, grey, strict=True):
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=place)
    return grey


def _check_shape(frames: np.ndarray) -> None:
    rgb = frames.ndim == 4 and frames.shape[-1] == 3
    if not (rgb or frames.ndim == 3) or 0 in frames.shape[1:]:
        raise SpecError(
            "Frames must be one array of shape (T, H, W, 3), RGB, or "
            f"(T, H, W), grey. Received: shape={frames.shape}"
        )


def _checked_floats(frames: np.ndarray) -> np.ndarray:
    if frames.dtype.kind not in "fui":
        raise SpecError(
            "Frames must be uint8, or float or integer values 0..255. "
            f"Received: dtype={frames.dtype}"
        )
    if not frames.size:
        return frames.astype(np.float32)
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0 and high <= 255):
        raise SpecError(
            "Frames must hold values 0..255. "
            f"Received: values from {low:g} to {high:g}"
        )
    if frames.dtype.kind == "f" and 0 < high <= 1:
        raise SpecError(
            "Frames must hold values 0..255, and these look like 0..1: the "
            f"largest is {high:g}. If so pass `frames * 255`; flow computed "
            "at the wrong scale is wrong without looking so."
        )
    return frames.astype(np.float32)
