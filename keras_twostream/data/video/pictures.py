"""Conversion of a decoded frame to the picture that a player shows.

Stored frames may be rotated, mirrored, or of pixels that are not square, in
any format of 8 to 16 bits. Transparency is ignored: a picture has the colours
stored under it. A crop that a container states, as MP4's `clap` and Matroska's
PixelCrop, is not applied: players differ in it, and PyAV does not tell it.
"""

import math
import threading
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

_STRANGEST = 8  # a more extreme aspect is a mistake in the header

_per_thread = threading.local()


class Orientation(NamedTuple):
    """The orientation of a frame: first a mirror, then a rotation.

    Attributes:
        rotation: Degrees anticlockwise, above -180 and up to 180.
        mirrored: Whether left and right are exchanged first.
        quarters: Quarter turns anticlockwise, 0 to 3, nearest to `rotation`.
    """

    rotation: int = 0
    mirrored: bool = False
    quarters: int = 0


_UPRIGHT = Orientation()


def _nameless(kind: type[Type], value: object) -> Type:
    """Return a member for side data that PyAV has no name for, as EXIF."""
    member: Any = object.__new__(kind)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member


# Otherwise PyAV gives no side data at all of frames that have some such.
Type._missing_ = classmethod(_nameless)  # type: ignore[method-assign,assignment]


def orientation(frame: av.VideoFrame) -> Orientation:
    """Return the orientation of a frame, from its display matrix.

    The matrix maps a stored place (x, y), y downwards, to the shown one
    (a x + c y, b x + d y); its rows are (a, b, u), (c, d, v). A negative
    determinant is a mirror.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    clockwise = round(math.degrees(math.atan2(b, a)))
    rotation = 180 if abs(clockwise) == 180 else -clockwise
    return Orientation(rotation, mirrored, round(rotation / 90) % 4)


def shown_size(
    size: tuple[int, int], aspect: Fraction | None, quarters: int
) -> tuple[int, int]:
    """Return the (height, width) at which a frame is shown.

    Args:
        size: (height, width) as stored.
        aspect: Width of a pixel over its height.
        quarters: Quarter turns.
    """
    height, width = size
    width = max(1, round(width * square(aspect)))
    return (width, height) if quarters % 2 else (height, width)


def square(aspect: Fraction | None) -> Fraction:
    """Return the factor of a frame's width that makes pixels square.

    Args:
        aspect: Width of a pixel over its height; None and nonsense give 1.
    """
    if not aspect or not 1 / _STRANGEST <= aspect <= _STRANGEST:
        return Fraction(1)
    return aspect


def to_rgb(frame: av.VideoFrame, how: Orientation) -> np.ndarray:
    """Return a frame in its orientation, before pixels are made square.

    Args:
        frame: A decoded frame.
        how: Its orientation.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    # One converter, on one thread, serves all frames: setting one up costs
    # twenty times as much as converting a small frame.
    if not hasattr(_per_thread, "reformatter"):
        _per_thread.reformatter = VideoReformatter()
    image = _per_thread.reformatter.reformat(
        frame, format="rgb24", threads=1
    ).to_ndarray()
    if how.mirrored:
        image = image[:, ::-1]
    return np.rot90(image, how.quarters) if how.quarters else image
