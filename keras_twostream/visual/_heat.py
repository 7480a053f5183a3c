"""Pictures of an explanation: maps over the frames, and the streams' shares."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from keras_twostream import _files
from keras_twostream._opencv import cv2
from keras_twostream.visual import _parts, _theme
from keras_twostream.visual._footage import whiteness
from keras_twostream.visual._parts import Box
from keras_twostream.visual._video import SIZE, video_writer

# A moment: second, frame, motion, and the (h, w) map of each stream, 0..1.
Moment = tuple[float, np.ndarray, np.ndarray, Mapping[str, np.ndarray]]

_WIDTH, _COLUMNS, _TALLEST = 1600, 4, 300  # of the sheet
_MARGIN, _GAP, _CAPTION, _REASONS = 40, 20, 34, 190
_STRENGTH = 0.75  # of the colour, where the map is 1
_BRIGHTEST = 0.7  # share of white that the fastest motion has
_TITLES = {"rgb": "frame", "flow": "motion"}


@dataclasses.dataclass(frozen=True)
class Reasons:
    """The words and numbers of an explanation.

    Attributes:
        name: Name of the video.
        subtitle: A quiet line: the model and the method.
        headline: The action, with its probability.
        contributions: Each stream's share of the score.
        total: Words about the sum of the shares.
        seconds: (N,) middle of each window.
        timelines: (N,) share of each stream in the windows.
    """

    name: str
    subtitle: str
    headline: tuple[str, str]
    contributions: Mapping[str, float]
    total: str
    seconds: np.ndarray
    timelines: Mapping[str, np.ndarray]


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 that glows where a map (h, w), 0..1, is high."""
    size = (image.shape[1], image.shape[0])
    heat = cv2.resize(heat.astype(np.float32), size).clip(0, 1)[..., None]
    colours = _glow()[np.rint(255 * heat[..., 0]).astype(int)]
    mixed = image * (1 - _STRENGTH * heat) + colours * (_STRENGTH * heat)
    return np.rint(mixed).astype(np.uint8)


@functools.cache
def _glow() -> np.ndarray:
    """Return (256, 3) colours, none of them as dark as the panel."""
    ramp = np.linspace(0.35, 1.0, 256)
    return 255 * matplotlib.colormaps["inferno"](ramp)[:, :3]


def heat_video(
    path: str | os.PathLike,
    reasons: Reasons,
    moments: Iterable[Moment],
    rate: float,
) -> Path:
    """Write a video that a browser plays: the maps over frame and motion.

    Returns:
        The path written: H.264 in .mp4, or VP9 in .webm.

    Raises:
        MissingLibraryError: If FFmpeg can write neither.
    """
    inside = SIZE[0] - 2 * _MARGIN
    media = Box(_MARGIN, 92, inside, 400)
    panel = Box(_MARGIN, 508, inside, _REASONS)
    base = Image.new("RGB", SIZE, _theme.BACKGROUND)
    _parts.panel(base, media)
    _headline(base, reasons, 32)
    playhead = _panel(base, panel, reasons)
    with video_writer(Path(path), rate, SIZE) as (written, write):
        for second, *pictures, maps in moments:
            canvas = base.copy()
            boxes = media.inset(12).columns(len(maps), 20)
            _glowing(canvas, boxes, pictures, maps)
            playhead(canvas, second)
            write(np.asarray(canvas))
    return written


def heat_sheet(
    path: str | os.PathLike, reasons: Reasons, moments: Iterable[Moment]
) -> Path:
    """Write a PNG: moments with their maps, and the streams' shares."""
    path = _files.expanded(path)
    with _files.replacing(path) as (part,):
        heat_image(reasons, moments).save(part, format="PNG")
    return path


def heat_image(reasons: Reasons, moments: Iterable[Moment]) -> Image.Image:
    """Return the picture of `heat_sheet`."""
    moments = list(moments)
    streams = len(moments[0][-1])
    width = (_WIDTH - 2 * _MARGIN - _GAP * (_COLUMNS - 1)) // _COLUMNS
    rows, columns = moments[0][1].shape[:2]
    side = min(_TALLEST, round(width * rows / columns))
    height = streams * (side + 6) + _CAPTION
    below = 112 + -(-len(moments) // _COLUMNS) * (height + _GAP)
    size = (_WIDTH, below + _REASONS + _MARGIN)
    canvas = Image.new("RGB", size, _theme.BACKGROUND)
    _headline(canvas, reasons, 44)
    for place, (second, *pictures, maps) in enumerate(moments):
        row, column = divmod(place, _COLUMNS)
        left = _MARGIN + column * (width + _GAP)
        top = 112 + row * (height + _GAP)
        boxes = [
            Box(left, top + i * (side + 6), width, side) for i in range(streams)
        ]
        _glowing(canvas, boxes, pictures, maps)
        at = (left, top + height - 12)
        draw = ImageDraw.Draw(canvas)
        _parts.text(draw, at, f"{second:.1f} s", 18, _theme.MUTED)
    box = Box(_MARGIN, below, _WIDTH - 2 * _MARGIN, _REASONS)
    _panel(canvas, box, reasons)
    return canvas


def _glowing(
    canvas: Image.Image,
    boxes: Sequence[Box],
    pictures: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
) -> None:
    """Draw each stream's picture with its map."""
    frame, motion = pictures
    shown = {"rgb": frame, "flow": _grey(motion)}
    draw = ImageDraw.Draw(canvas)
    for box, (stream, heat) in zip(boxes, maps.items(), strict=True):
        drawn = _parts.picture(canvas, box, overlay(shown[stream], heat))
        _parts.tag(draw, drawn, _TITLES[stream], 13)


def _grey(motion: np.ndarray) -> np.ndarray:
    """Return coloured motion in greys, the brighter the faster.

    The hues of directions would be taken for those of the map over them.
    """
    grey = np.rint(_BRIGHTEST * (255 - whiteness(motion))).astype(np.uint8)
    return np.repeat(grey, 3, axis=-1)


def _headline(canvas: Image.Image, reasons: Reasons, size: int) -> None:
    draw = ImageDraw.Draw(canvas)
    label, number = reasons.headline
    right = canvas.width - _MARGIN
    room = canvas.width * 0.6 - 3 * size
    top = 22 + size
    width = _parts.text(
        draw, (_MARGIN, top), label, size, bold=True, width=room
    )
    at = (_MARGIN + width + size / 2, top)
    _parts.text(draw, at, number, size, _theme.STREAM_COLOURS["fused"])
    room = canvas.width / 3
    _parts.text(
        draw, (right, top - 18), reasons.name, 17, anchor="rs", width=room
    )
    _parts.text(
        draw, (right, top + 6), reasons.subtitle, 15, _theme.MUTED,
        anchor="rs", width=room,
    )  # fmt: skip


def _panel(
    canvas: Image.Image, box: Box, reasons: Reasons
) -> Callable[[Image.Image, float], None]:
    """Draw the shares, whole and over time; return a drawer of the moment."""
    _parts.panel(canvas, box)
    left, right = box.inset(16).columns(2, 40)
    draw = ImageDraw.Draw(canvas)
    _shares(draw, left, reasons)
    chart = right._replace(top=right.top + 24, height=right.height - 24)
    title = (chart.left, right.top + 14)
    _parts.text(draw, title, "share over time", 15, bold=True)
    return _curves(draw, chart, reasons)


def _shares(draw: ImageDraw.ImageDraw, box: Box, reasons: Reasons) -> None:
    """Draw a bar for each stream, from the middle to the right or left."""
    at = (box.left, box.top + 14)
    _parts.text(draw, at, "share of the score", 15, bold=True)
    largest = max(1e-9, *map(abs, reasons.contributions.values()))
    middle, half = box.left + box.width // 2, box.width // 2 - 90
    for row, (stream, share) in enumerate(reasons.contributions.items()):
        top = box.top + 32 + 44 * row
        colour = _theme.STREAM_COLOURS[stream]
        title = _theme.STREAM_TITLES[stream]
        _parts.text(draw, (box.left, top + 19), title, 15, colour)
        end = middle + round(half * share / largest)
        low, high = sorted((middle, end))
        draw.rectangle((low, top + 4, high, top + 24), fill=colour)
        side = 10 if share >= 0 else -10
        _parts.text(
            draw, (end + side, top + 20), f"{share:+.2f}", 15,
            anchor="ls" if share >= 0 else "rs",
        )  # fmt: skip
    line = (box.left, box.bottom - 4)
    _parts.text(draw, line, reasons.total, 14, _theme.MUTED, width=box.width)


def _curves(
    draw: ImageDraw.ImageDraw, box: Box, reasons: Reasons
) -> Callable[[Image.Image, float], None]:
    seconds, curves = reasons.seconds, reasons.timelines
    values = np.concatenate([np.zeros(1), *curves.values()])
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 1e-9)
    last = max(float(seconds[-1] + seconds[0]), 1e-9)

    def point(second: float, value: float) -> tuple[float, float]:
        x = box.left + box.width * min(second / last, 1.0)
        return x, box.bottom - (value - low) / span * box.height

    zero = point(0, 0)[1]
    draw.line((box.left, zero, box.right, zero), fill=_theme.TRACK, width=1)
    for stream, curve in curves.items():
        colour = _theme.STREAM_COLOURS[stream]
        pairs = zip(seconds.tolist(), curve.tolist(), strict=True)
        points = [point(*pair) for pair in pairs]
        ends = [(box.left, points[0][1]), *points, (box.right, points[-1][1])]
        draw.line(ends, fill=colour, width=3, joint="curve")

    def playhead(canvas: Image.Image, second: float) -> None:
        x = point(second, 0)[0]
        ImageDraw.Draw(canvas).line(
            (x, box.top, x, box.bottom), fill="white", width=2
        )

    return playhead
