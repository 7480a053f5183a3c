"""Colours and type: a dark, calm panel."""

import functools
from pathlib import Path

import matplotlib
from PIL import ImageFont

Colour = tuple[int, int, int]  # red, green, blue, 0..255

BACKGROUND = (15, 18, 23)
PANEL = (25, 30, 38)
TRACK = (43, 50, 61)
TEXT = (233, 238, 243)
MUTED = (139, 151, 166)

STREAM_COLOURS = {
    "rgb": (86, 171, 255),
    "flow": (255, 178, 84),
    "fused": (111, 217, 140),
}
STREAM_TITLES = {"rgb": "Frames", "flow": "Motion", "fused": "Both together"}
ONLY_TITLE = "Scores"

# One hue per action on the timeline, told apart by colour-blind eyes too.
ACTION_COLOURS = (
    (68, 140, 203),
    (224, 151, 60),
    (74, 165, 120),
    (196, 104, 134),
    (138, 118, 201),
    (152, 158, 66),
    (79, 168, 178),
    (186, 118, 86),
)

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which Matplotlib ships, `size` pixels high."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(_FONTS / name), size)


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Return `colour` with a share of 0..1 of `other` in it."""
    pairs = zip(colour, other, strict=True)
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in pairs)
    return red, green, blue
