"""The contact sheet: one picture that sums up the whole video."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from keras_twostream import _files
from keras_twostream._printing import percent, readable
from keras_twostream.spec import FUSED
from keras_twostream.visual import _parts, _theme
from keras_twostream.visual._parts import Box
from keras_twostream.visual._story import Story

WIDTH = 1600
COLUMNS = 4
MOMENTS = 8
_MARGIN = 40
_GAP = 20
_HEADER = 132
_CAPTION = 40
_SCORES = 200
_ROWS = 5
_LEGEND = 17
_TALLEST = 300  # keeps the sheet of a portrait video short


def contact_sheet(
    path: str | os.PathLike,
    story: Story,
    footage: Iterable[tuple[float, np.ndarray, np.ndarray]],
) -> Path:
    """Write a PNG: moments with their motion, scores, timeline.

    Args:
        path: File to write.
        story: Scores over time.
        footage: (second, frame, motion) of the moments, in order; at most
            eight are drawn.
    """
    moments = list(footage)[:MOMENTS]
    cell = _cell(moments)
    rows = -(-len(moments) // COLUMNS)
    legend = _legend_height(story)
    height = _HEADER + rows * (cell.height + _GAP) + _SCORES + 130 + legend
    canvas = Image.new("RGB", (WIDTH, height), _theme.BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    _headline(draw, story)
    for place, moment in enumerate(moments):
        row, column = divmod(place, COLUMNS)
        left = _MARGIN + column * (cell.width + _GAP)
        top = _HEADER + row * (cell.height + _GAP)
        _moment(canvas, Box(left, top, *cell[2:]), story, moment)
    top = _HEADER + rows * (cell.height + _GAP) + 8
    _scores(canvas, Box(_MARGIN, top, WIDTH - 2 * _MARGIN, _SCORES), story)
    strip = Box(_MARGIN, top + _SCORES + 28, WIDTH - 2 * _MARGIN, 28)
    _parts.timeline(draw, strip, story, 16)
    for second, _, _ in moments:
        _parts.playhead(draw, strip, story, second)
    below = strip._replace(top=height - legend - 20)
    _parts.legend(draw, below, story, _LEGEND)
    if story.states is not None:
        _parts.states(draw, strip._replace(top=strip.bottom + 28), story, 16)
    path = _files.expanded(path)
    with _files.writing(path) as file:
        canvas.save(file, format="PNG")
    return path


def _legend_height(story: Story) -> int:
    rows = _parts.legend_entries(story, WIDTH - 2 * _MARGIN, _LEGEND)
    return (rows[-1].row + 1) * _parts.legend_row(_LEGEND)


def _cell(moments) -> Box:
    """Return a box for a frame above its motion, and a caption."""
    width = (WIDTH - 2 * _MARGIN - _GAP * (COLUMNS - 1)) // COLUMNS
    height, frame_width = moments[0][1].shape[:2]
    image = min(_TALLEST, round(width * height / frame_width))
    return Box(0, 0, width, 2 * image + 6 + _CAPTION)


def _headline(draw: ImageDraw.ImageDraw, story: Story) -> None:
    (best,) = story.ranked(1)
    inside = WIDTH - 2 * _MARGIN
    width = _parts.text(
        draw, (_MARGIN, 72), story.label(best), 44, bold=True,
        width=inside - 180,
    )  # fmt: skip
    _parts.text(
        draw, (_MARGIN + width + 22, 72), percent(story.whole[FUSED][best]),
        44, _theme.STREAM_COLOURS[FUSED],
    )  # fmt: skip
    line = f"{story.name}, {story.duration:.1f} s"
    if story.truth is not None:
        line = f"truth: {readable(story.truth)}    {line}"
    half = (inside - _GAP) // 2
    _parts.text(draw, (_MARGIN, 106), line, 20, _theme.MUTED, width=half)
    _parts.text(
        draw, (WIDTH - _MARGIN, 106), story.subtitle, 20, _theme.MUTED,
        anchor="rs", width=half,
    )  # fmt: skip


def _moment(canvas: Image.Image, box: Box, story: Story, moment) -> None:
    second, frame, motion = moment
    image = (box.height - _CAPTION - 6) // 2
    upper = Box(box.left, box.top, box.width, image)
    lower = upper._replace(top=upper.bottom + 6)
    _parts.picture(canvas, upper, frame)
    _parts.picture(canvas, lower, motion)
    now = story.at(second)
    best = int(np.argmax(now))
    draw = ImageDraw.Draw(canvas)
    baseline = box.bottom - 14
    width = _parts.text(
        draw, (box.left, baseline), f"{second:.1f} s", 18, _theme.MUTED
    )
    draw.rectangle(
        (box.left + width + 12, baseline - 13, box.left + width + 25, baseline),
        fill=_colour(story, best),
    )
    _parts.text(
        draw,
        (box.left + width + 34, baseline),
        f"{percent(now[best])}  {story.label(best)}",
        18,
        width=box.width - width - 34,
    )


def _colour(story: Story, winner: int) -> _theme.Colour:
    """Return a class's colour on the strip, if it is there."""
    if winner not in story.colours:
        return _theme.TRACK
    return _parts.action_colour(story.colours[winner])


def _scores(canvas: Image.Image, box: Box, story: Story) -> None:
    _parts.panel(canvas, box)
    draw = ImageDraw.Draw(canvas)
    shown = story.ranked(_ROWS)
    columns = box.inset(20).columns(len(story.streams), 48)
    for column, stream in zip(columns, story.streams, strict=True):
        scores = story.whole[stream]
        rows = [(story.label(i), float(scores[i])) for i in shown]
        alone = len(story.streams) == 1
        _parts.bars(draw, column, stream, rows, alone=alone, size=17)
