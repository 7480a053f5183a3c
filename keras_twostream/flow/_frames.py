"""Grey frames, for the computation of flow."""

import numpy as np

from keras_twostream._opencv import cv2


def to_grey(frames: np.ndarray) -> np.ndarray:
    """Return checked frames as grey images (T, H, W) of the same type."""
    if frames.ndim == 3:
        return frames
    grey = np.empty(frames.shape[:3], frames.dtype)
    for frame, place in zip(frames, grey, strict=True):
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=place)
    return grey
