"""Frames in memory: one check of what a user gives, and batches of one size."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twostream.errors import SpecError

_NARROWEST = 5  # columns of grey frames; a last axis of 1 to 4 is channels


def checked_frames(frames: Any, *, grey: bool = False) -> np.ndarray:
    """Return frames as an array, if their shape, type and values are right.

    Args:
        frames: (T, H, W, 3) RGB, uint8 or float or integer values 0..255.
        grey: Whether grey frames are right, too: (T, H, W, 1), or (T, H, W),
            where T is not 3.

    Returns:
        The frames, in the type that they have; grey ones as (T, H, W).

    Raises:
        SpecError: If they are not as above.
    """
    array = _array(frames)
    _check_shape(array, grey)
    if array.shape[-1] == 1 and array.ndim == 4:
        array = array[..., 0]
    if array.dtype.kind not in "fui":
        raise SpecError(
            "Frames must be uint8, or float or integer values 0..255. "
            f"Received: dtype={array.dtype}. Convert them: "
            "`frames.astype('uint8')`, times 255 where they are True or False."
        )
    if array.dtype != np.uint8 and array.size:
        _check_values(array)
    return array


def video_of(frames: Any) -> np.ndarray:
    """Return a video in memory as (T, H, W, 3) uint8.

    Raises:
        SpecError: If it is not as `checked_frames` wants it, or has no frame.
    """
    array = checked_frames(frames)
    if not len(array):
        raise SpecError(
            "A video in memory has one frame at least. Give at least one. "
            f"Received: shape={array.shape}"
        )
    return as_bytes(array)


def as_bytes(frames: np.ndarray) -> np.ndarray:
    """Return checked frames as uint8, rounded."""
    # np.rint would take bytes through float16, which is slow.
    if frames.dtype == np.uint8:
        return frames
    return np.rint(frames).astype(np.uint8)


def padded(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows, filled up to `size` with copies of the last one."""
    missing = size - len(rows)
    if not missing:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])


def _array(frames: Any) -> np.ndarray:
    try:
        array = np.asarray(frames)
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"Frames must be one array, all of one size: {error}"
        ) from error
    if array.ndim or isinstance(frames, np.ndarray):
        return array
    cut = isinstance(frames, Mapping) * (
        ". Clips that are cut already, as keras_twostream.clips gives, are "
        "the model's own input: model.predict(clips)."
    )
    raise SpecError(
        "Frames must be a (T, H, W, 3) array, RGB. "
        f"Received: a {type(frames).__name__}{cut}"
    )


def _check_shape(frames: np.ndarray, grey: bool) -> None:
    shape = frames.shape
    channels = (1, 3) if grey else (3,)
    named = frames.ndim == 4 and shape[-1] in channels
    # Three planes are one picture of PyTorch's more often than three frames.
    one = frames.ndim == 3 and (shape[0] == 3 or shape[-1] < _NARROWEST)
    bare = grey and frames.ndim == 3 and not one
    if (named or bare) and 0 not in shape[1:]:
        return
    others = ", or (T, H, W, 1), grey"
    raise SpecError(
        f"Frames must be a (T, H, W, 3) array, RGB{others * grey}. "
        f"Received: shape={shape}{_advice(frames, one, grey)}"
    )


def _advice(frames: np.ndarray, one: bool, grey: bool) -> str:
    """Return what a wrong shape looks like, and what to do then."""
    if one:
        three = "; three grey frames are right as `frames[..., None]`"
        return (
            ", which looks like a single image: stack several"
            f"{three * (grey and len(frames) == 3)}."
        )
    if frames.ndim == 4 and frames.shape[1] == 3:
        return (
            ", which has its channels first: pass "
            "`frames.transpose(0, 2, 3, 1)`."
        )
    return ""


def _check_values(frames: np.ndarray) -> None:
    low, high = float(frames.min()), float(frames.max())
    in_one = frames.dtype.kind == "f" and low >= 0 and 0 < high <= 1
    if low >= 0 and high <= 255 and not in_one:
        return
    raise SpecError(
        "Frames must hold values 0..255. "
        f"Received: values from {low:g} to {high:g}"
        + ", which look like 0..1: if so, pass `frames * 255`."
        * in_one
    )
