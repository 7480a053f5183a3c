"""The video of a detector: boxes around people, and their actions."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from keras_twostream.visual import _parts, _theme
from keras_twostream.visual._video import video_writer

_HEIGHT = 540  # the least, so that words can be read on small videos
_TYPE = 20


@dataclasses.dataclass(frozen=True)
class Mark:
    """A box on a picture.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the video, inclusive.
        words: Words on the box.
        number: Number of the colour, one for each action.
    """

    box: tuple[float, float, float, float]
    words: str
    number: int


def tube_video(
    path: str | os.PathLike,
    frames: Iterable[np.ndarray],
    marks: Callable[[int], Sequence[Mark]],
    rate: float,
) -> Path:
    """Write a video that a browser plays, with boxes and their words.

    Args:
        path: File to write; its suffix follows the encoder that FFmpeg has.
        frames: (H, W, 3) uint8 RGB, all frames of the video.
        marks: Function of a frame's number that gives its marks.
        rate: Frames per second.

    Returns:
        The path written.

    Raises:
        MissingLibraryError: If FFmpeg can write neither H.264 nor VP9.
    """
    frames = iter(frames)
    first = next(frames)
    size, scale = _fitted(first)
    with video_writer(Path(path), rate, size) as (written, write):
        write(_marked(first, marks(0), size, scale))
        for number, frame in enumerate(frames, 1):
            write(_marked(frame, marks(number), size, scale))
    return written


def _fitted(frame: np.ndarray) -> tuple[tuple[int, int], float]:
    """Return an even (width, height) for encoders, and the factor to it."""
    height, width = frame.shape[:2]
    scale = max(1.0, _HEIGHT / height)
    return (round(width * scale / 2) * 2, round(height * scale / 2) * 2), scale


def _marked(
    frame: np.ndarray,
    marks: Sequence[Mark],
    size: tuple[int, int],
    scale: float,
) -> np.ndarray:
    canvas = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    for mark in marks:
        _draw(draw, mark, scale, size)
    return np.asarray(canvas)


def _draw(draw: ImageDraw.ImageDraw, mark: Mark, scale: float, size) -> None:
    """Draw a frame around the person, and the words on a plate above it."""
    colour = _parts.action_colour(mark.number)
    left, top, right, low = mark.box
    corners = (left * scale, top * scale)
    ends = ((right + 1) * scale - 1, (low + 1) * scale - 1)
    draw.rounded_rectangle((*corners, *ends), 6, outline=colour, width=3)
    width = _theme.font(_TYPE, True).getlength(mark.words) + 16
    x = min(max(0, corners[0]), max(0, size[0] - width))
    y = max(0, corners[1] - _TYPE - 10)
    plate = (x, y, x + width, y + _TYPE + 10)
    draw.rounded_rectangle(plate, 5, fill=colour)
    _parts.text(
        draw, (x + 8, y + _TYPE + 2), mark.words, _TYPE,
        _theme.BACKGROUND, bold=True,
    )  # fmt: skip
