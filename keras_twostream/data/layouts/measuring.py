"""Measurement of flow on disk against the frames beside it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_twostream import flow
from keras_twostream._opencv import cv2
from keras_twostream.data.layouts.layout import Layout
from keras_twostream.data.layouts.sources import read_picture, zero_level
from keras_twostream.errors import VideoError

COMMON_BOUNDS = (8.0, 10.0, 15.0, 16.0, 20.0, 32.0, 64.0)
FEWEST_PIXELS = 500  # fewest moving pixels to measure
MOVES = 0.5  # px from which a pixel counts as moving
SURE = 0.5  # least correlation for a measurement to count
OFF = 1.25  # largest factor between measured and true bound


@dataclasses.dataclass(frozen=True)
class Measured:
    """The comparison of flow on disk with flow computed from the frames.

    Attributes:
        bound: Approximate displacement in pixels at the extreme levels; the
            two algorithms differ, see `likely_bound`.
        shift: 1 where a field ends at the frame of its index, else 0.
        correlation: Correlation of the flow on disk with the computed flow.
        zero: Level of pixels without motion.
    """

    bound: float
    shift: int
    correlation: float
    zero: int


def measure(layout: Layout, samples: int = 6) -> Measured | None:
    """Measure bound, pairing and zero level of 8-bit flow in a few fields.

    Args:
        layout: A layout with frames and flow.
        samples: Number of pairs of frames to compare.

    Returns:
        The comparison; None where too little moves, or nothing correlates.
    """
    rgb = layout.files["rgb"]
    starts = [index for index in sorted(rgb) if index + 1 in rgb]
    if not starts or not layout.fields:
        return None
    places = np.linspace(0, len(starts) - 1, samples).astype(int)
    chosen = sorted({starts[place] for place in places})
    tried = [_fit(layout, chosen, shift) for shift in (0, 1)]
    fits = [fit for fit in tried if fit is not None]
    best = max(fits, key=lambda fit: fit.correlation, default=None)
    if best is None or best.correlation < SURE:
        return None
    return best


def likely_bound(measured: Sequence[float], expected: float) -> float:
    """Return the bound that best explains the measured ones.

    Returns:
        `expected`, a common bound, or the median of the measured ones.
    """
    middle = float(np.median(measured))
    for bound in (expected, *_by_nearness(middle)):
        if 1 / OFF < middle / bound < OFF:
            return bound
    return round(middle, 1)


def _by_nearness(middle: float) -> list[float]:
    return sorted(COMMON_BOUNDS, key=lambda bound: abs(np.log(middle / bound)))


def _fit(layout: Layout, starts: list[int], shift: int) -> Measured | None:
    pairs = {start: _pair(layout.files, start, shift) for start in starts}
    pairs = {start: pair for start, pair in pairs.items() if pair is not None}
    if not pairs:
        return None
    opened = layout.files["x"][min(pairs) + shift]
    zero = zero_level(opened, layout.name)
    levels, truth = map(np.concatenate, zip(*pairs.values(), strict=True))
    step, first = flow.levels_to_pixels(1.0, zero=zero)
    share = levels * np.float32(step) + np.float32(first)
    return _regress(share, truth, shift, zero)


def _pair(
    files: dict[str, dict[int, str]], start: int, shift: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the levels of a field on disk, and the computed field.

    Return None where a file is missing or damaged, or the files of a pair
    differ in size.
    """
    index = start + shift
    if index not in files["x"] or index not in files["y"]:
        return None
    planes = _of_one_size(
        [files[role][index] for role in "xy"], cv2.IMREAD_GRAYSCALE
    )
    frames = _of_one_size(
        [files["rgb"][start + i] for i in (0, 1)], cv2.IMREAD_COLOR
    )
    if planes is None or frames is None:
        return None
    levels = np.moveaxis(planes, 0, -1)
    computed = flow.resize(flow.compute(frames)[0], levels.shape[:2])
    return levels.ravel(), computed.ravel()


def _of_one_size(paths: list[str], flags: int) -> np.ndarray | None:
    try:
        pictures = [read_picture(path, flags) for path in paths]
    except VideoError:
        return None
    images = [picture for picture in pictures if picture is not None]
    if len(images) < len(paths) or len({x.shape for x in images}) != 1:
        return None
    return np.stack(images)


def _regress(share, truth, shift: int, zero: int) -> Measured | None:
    moves = (np.abs(truth) > MOVES) & (np.abs(share) < 0.95)
    if moves.sum() < FEWEST_PIXELS or not np.any(share[moves]):
        return None
    share, truth = share[moves], truth[moves]
    correlation = float(
        share @ truth / np.sqrt((share @ share) * (truth @ truth))
    )
    # Both have errors: take the slope between the two regressions.
    slope = float(np.sqrt((truth @ truth) / (share @ share)))
    return Measured(slope, shift, correlation, zero)
