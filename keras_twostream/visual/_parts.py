"""Parts of a picture: text, images in boxes, score bars, the timeline."""

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_twostream import flow
from keras_twostream._opencv import cv2
from keras_twostream._printing import percent
from keras_twostream.visual import _theme
from keras_twostream.visual._footage import on_dark
from keras_twostream.visual._story import Story

_NAMED = 40  # actions in a legend
_SMALLEST = 7  # pixels; smaller type cannot be read


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond the box."""
        return self.top + self.height

    def columns(self, count: int, gap: int) -> list["Box"]:
        """Split into boxes side by side, `gap` pixels apart."""
        width = (self.width - gap * (count - 1)) // count
        return [
            Box(self.left + i * (width + gap), self.top, width, self.height)
            for i in range(count)
        ]

    def inset(self, margin: int) -> "Box":
        """Return the box without a margin inside it."""
        return Box(
            self.left + margin,
            self.top + margin,
            self.width - 2 * margin,
            self.height - 2 * margin,
        )


def text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    size: int,
    colour: _theme.Colour = _theme.TEXT,
    *,
    bold: bool = False,
    anchor: str = "ls",
    width: float | None = None,
) -> float:
    """Write one line; words too long for `width` become smaller.

    At a third of their size they stop to shrink, and end in an ellipsis.

    Args:
        draw: Picture to write on.
        at: (x, y) of the anchor.
        words: Text to write.
        size: Size of the type, in pixels.
        colour: RGB.
        bold: Whether the type is bold.
        anchor: Pillow's: "ls" left on the baseline, "rs" right, "mm" centred.
        width: Room for the text, in pixels; unlimited when None.

    Returns:
        The width of the written text.
    """
    face = _fitting(words, size, bold, width)
    words = _shorten(words, face, width)
    draw.text(at, words, fill=colour, font=face, anchor=anchor)
    return _length(face, words)


@functools.lru_cache(maxsize=1024)  # a video's frames say the same again
def _length(face: ImageFont.FreeTypeFont, words: str) -> float:
    return face.getlength(words)


def _fitting(words: str, size: int, bold: bool, width: float | None):
    """Return the largest type up to `size` in which words fit."""
    face = _theme.font(size, bold)
    length = _length(face, words)
    if width is None or length <= width:
        return face
    smaller = int(size * width / length)
    return _theme.font(max(smaller, round(size / 3), _SMALLEST), bold)


def _shorten(words: str, face, width: float | None) -> str:
    if width is None or _length(face, words) <= width:
        return words
    while words and _length(face, words + "…") > width:
        words = words[:-1]
    return words.rstrip() + "…"


def picture(canvas: Image.Image, box: Box, image: np.ndarray) -> Box:
    """Put an image into a box, as large as fits, with round corners.

    Args:
        canvas: Picture to put the image on.
        box: Room for the image, which is centred in it.
        image: (H, W, 3) uint8.

    Returns:
        The box that the image fills.
    """
    height, width = image.shape[:2]
    scale = min(box.width / width, box.height / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Cubic keeps small frames smooth when they are enlarged.
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    image = np.ascontiguousarray(image)
    resized = Image.fromarray(cv2.resize(image, size, interpolation=how))
    left = box.left + (box.width - size[0]) // 2
    top = box.top + (box.height - size[1]) // 2
    canvas.paste(resized, (left, top), _round_mask(size))
    return Box(left, top, *size)


@functools.lru_cache(maxsize=8)
def _round_mask(size: tuple[int, int], radius: int = 8) -> Image.Image:
    fine = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    corner = (fine.width - 1, fine.height - 1)
    ImageDraw.Draw(fine).rounded_rectangle(
        ((0, 0), corner), radius * 4, fill=255
    )
    return fine.resize(size, Image.Resampling.BOX)


def wheel(canvas: Image.Image, box: Box, size: int) -> None:
    """Draw a legend of the colours of motion in the corner of a picture."""
    image, mask = _wheel(size)
    left, top = box.right - size - 12, box.bottom - size - 12
    canvas.paste(image, (left, top), mask)


@functools.cache
def _wheel(size: int) -> tuple[Image.Image, Image.Image]:
    ramp = np.linspace(-1, 1, 4 * size, dtype=np.float32)
    directions = np.stack(np.meshgrid(ramp, ramp), axis=-1)
    inside = np.linalg.norm(directions, axis=-1) <= 1
    colours = on_dark(flow.to_rgb(directions, 1.0))
    shrunk = [
        Image.fromarray(image).resize((size, size), Image.Resampling.BOX)
        for image in (colours, np.uint8(255) * inside.astype(np.uint8))
    ]
    return shrunk[0], shrunk[1]


def panel(canvas: Image.Image, box: Box) -> None:
    """Draw a quiet rectangle with round corners behind other parts."""
    fill = Image.new("RGB", (box.width, box.height), _theme.PANEL)
    mask = _round_mask((box.width, box.height), 10)
    canvas.paste(fill, (box.left, box.top), mask)


def tag(draw: ImageDraw.ImageDraw, box: Box, words: str, size: int) -> None:
    """Draw a caption in the lower left corner of a picture."""
    width = _theme.font(size).getlength(words)
    left, bottom = box.left + 10, box.bottom - 10
    draw.rounded_rectangle(
        (left, bottom - size - 10, left + width + 16, bottom),
        5,
        fill=_theme.BACKGROUND,
    )
    text(draw, (left + 8, bottom - 8), words, size, _theme.TEXT)


def bars(
    draw: ImageDraw.ImageDraw,
    box: Box,
    stream: str,
    rows: list[tuple[str, float]],
    *,
    alone: bool = False,
    size: int = 15,
) -> None:
    """Draw a stream's scores: a bar per class, under name and percentage."""
    colour = _theme.STREAM_COLOURS[stream]
    title = _theme.ONLY_TITLE if alone else _theme.STREAM_TITLES[stream]
    at = (box.left, box.top + size)
    text(draw, at, title, size, colour, bold=True)
    pitch = (box.height - size - 6) / len(rows)
    for place, (label, score) in enumerate(rows):
        top = box.top + size + 8 + place * pitch
        _bar(draw, box, top, (label, score), colour, size)


def _bar(draw, box: Box, top: float, row, colour, size: int) -> None:
    label, score = row
    strong = _theme.mix(_theme.MUTED, _theme.TEXT, min(1.0, score * 2))
    baseline = top + size + 2
    text(draw, (box.left, baseline), label, size - 1, strong,
         width=box.width - 4 * size)  # fmt: skip
    right = (box.right, baseline)
    text(draw, right, percent(score), size - 1, strong, anchor="rs")
    y = round(baseline) + 5
    draw.rectangle((box.left, y, box.right - 1, y + 4), fill=_theme.TRACK)
    length = round(box.width * score)
    if length:
        draw.rectangle((box.left, y, box.left + length - 1, y + 4), fill=colour)


def timeline(
    draw: ImageDraw.ImageDraw, box: Box, story: Story, size: int = 14
) -> None:
    """Draw the actions over time: coloured stretches, a scale in seconds."""
    for start, end, winner, mean in story.stretches():
        left, right = _x(box, story, start), _x(box, story, end)
        strong = action_colour(story.colours[winner])
        colour = _theme.mix(_theme.PANEL, strong, 0.35 + 0.65 * mean)
        # In a long video a stretch may be narrower than the gap behind it.
        right_edge = max(left, right - 2)
        draw.rectangle((left, box.top, right_edge, box.bottom - 1), fill=colour)
        _stretch_label(draw, box, (left, right), story.label(winner), size)
    for second in _ticks(story.duration):
        x = _x(box, story, second)
        anchor = "ls" if second == 0 else "ms"
        at = (x, box.bottom + size + 4)
        text(draw, at, _clock(second), size - 2, _theme.MUTED, anchor=anchor)


def _stretch_label(draw, box: Box, sides, label: str, size: int) -> None:
    left, right = sides
    if right - left < 4 * size:
        return
    at = (left + 8, box.top + (box.height + size) // 2 - 2)
    text(draw, at, label, size - 1, _theme.TEXT, width=right - left - 16)


def states(
    draw: ImageDraw.ImageDraw, box: Box, story: Story, size: int = 14
) -> None:
    """Draw two bars: the time before the action, and the time after it."""
    if story.states is None:
        return
    place = story.colours.get(story.states.action, len(story.colours))
    colour = action_colour(place)
    parts = {
        "before": story.states.precondition,
        "after": story.states.effect,
    }
    for word, (start, end) in parts.items():
        left, right = _x(box, story, start), _x(box, story, end)
        right_edge = max(left, right - 2)
        draw.rectangle((left, box.top, right_edge, box.top + 5), fill=colour)
        at = (left, box.top + size + 10)
        label = f"{word}: {story.label(story.states.action)}"
        text(draw, at, label, size - 1, _theme.MUTED, width=right - left)


def playhead(
    draw: ImageDraw.ImageDraw, box: Box, story: Story, second: float
) -> None:
    """Mark the moment shown on the timeline."""
    x = _x(box, story, min(second, story.duration))
    draw.rectangle((x - 1, box.top - 5, x + 1, box.bottom + 4), fill="white")


def action_colour(number: int) -> tuple[int, int, int]:
    """Return the colour of an action, by its number in a picture.

    The first eight have hues of their own; the next ones are paler.
    """
    cycle, place = divmod(number, len(_theme.ACTION_COLOURS))
    pale = min(0.6, 0.3 * cycle)
    return _theme.mix(_theme.ACTION_COLOURS[place], _theme.TEXT, pale)


class Entry(NamedTuple):
    """A line of the legend: the name of an action, and its place in a box."""

    left: float
    row: int
    words: str
    number: int


def legend_entries(story: Story, width: int, size: int) -> list[Entry]:
    """Return the names of the strip's actions, laid out in rows.

    Returns:
        The entries, at most `_NAMED`; a last one counts the others.
    """
    entries: list[Entry] = []
    left, row = 0.0, 0
    names = [(number, story.label(w)) for w, number in story.colours.items()]
    more = len(names) - _NAMED
    if more > 0:
        names = [*names[:_NAMED], (-1, f"and {more} more")]
    for number, words in names:
        length = min(width, _theme.font(size).getlength(words) + 3 * size)
        if left and left + length > width:
            left, row = 0.0, row + 1
        entries.append(Entry(left, row, words, number))
        left += length + size
    return entries


def legend(
    draw: ImageDraw.ImageDraw, box: Box, story: Story, size: int
) -> None:
    """Draw the names of the strip's actions beside their colours."""
    for entry in legend_entries(story, box.width, size):
        left, top = (
            box.left + entry.left,
            box.top + entry.row * legend_row(size),
        )
        if entry.number >= 0:
            square = (left, top, left + size - 3, top + size - 3)
            draw.rectangle(square, fill=action_colour(entry.number))
        at = (left + 1.5 * size, top + size - 3)
        room = box.right - at[0]
        text(draw, at, entry.words, size, _theme.MUTED, width=room)


def legend_row(size: int) -> int:
    """Return the pixels from one row of the legend to the next."""
    return round(1.7 * size)


def _x(box: Box, story: Story, second: float) -> int:
    return box.left + round(box.width * second / max(story.duration, 1e-6))


def _ticks(duration: float) -> list[float]:
    """Return four to nine moments at round numbers."""
    steps = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    step = next((s for s in steps if duration / s <= 9), 7200)
    count = int(duration / step + 1e-6)
    ticks = [k * step for k in range(count + 1)]
    # A tick at the very end would be cut off.
    return [t for t in ticks if t < duration * 0.985] or [0.0]


def _clock(second: float) -> str:
    if second < 60:
        return f"{second:g} s"
    return f"{int(second) // 60}:{int(second) % 60:02d}"
