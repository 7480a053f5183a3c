"""Random crops and colour changes of training, as in the papers.

Drawing is separate from applying: a draw is a `Crop`, or a colour matrix, and
depends only on the frame's size and a random generator.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.cutting.cropping import (
    POSITIONS,
    Crop,
    centre,
    fit_inside,
)
from keras_twostream.errors import check_choice

SCALES = (1.0, 0.875, 0.75, 0.66)
_SNAP = 3  # sizes within 3 pixels of the target are the target (Wang 2015)
# BT.601, the weights by which OpenCV makes grey from RGB.
_GREY = np.array([0.299, 0.587, 0.114])

Draw = Callable[[int, int, tuple[int, int], np.random.Generator], Crop]


# === Crops ===


def random_crop(
    height: int, width: int, size: tuple[int, int], rng: np.random.Generator
) -> Crop:
    """Draw a crop of the network's size (Simonyan & Zisserman 2014)."""
    return _anywhere(fit_inside(size, height, width), height, width, size, rng)


def multi_scale(
    height: int,
    width: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    scales: Sequence[float] = SCALES,
    max_distort: int = 1,
    positions: int = 5,
) -> Crop:
    """Draw a corner crop at one of several scales.

    Height and width are the frame's short side times two scales at most
    `max_distort` places apart, at the corners or the centre (Wang et al.
    2015, section 3.2).

    Args:
        height: Height of the frame.
        width: Width of the frame.
        size: (height, width) of the result.
        rng: Random generator, see `generator`.
        scales: Factors of the short side.
        max_distort: Places apart in `scales` that height and width may be.
        positions: 5 (corners and centre), or 13 with the middles of edges
            and the quarter points (Wang et al. 2016).

    Returns:
        A `Crop`.
    """
    base = min(height, width)
    pairs = [
        (_snap(base * a, size[0]), _snap(base * b, size[1]))
        for i, a in enumerate(scales)
        for j, b in enumerate(scales)
        if abs(i - j) <= max_distort
    ]
    h, w = fit_inside(pairs[rng.integers(len(pairs))], height, width)
    row, column = POSITIONS[rng.integers(positions)]
    top = (height - h) * row // 4
    return Crop(top, (width - w) * column // 4, h, w, size)


def aspect_jitter(
    height: int, width: int, size: tuple[int, int], rng: np.random.Generator
) -> Crop:
    """Draw a crop with height and width 0.75 to 1.25 of the network's size.

    The two are drawn independently, and the crop lies near the frame's border
    rather than its centre (Feichtenhofer et al. 2016, authors' code, 'noCtr').
    Both coordinates are drawn independently here; the authors' code pairs
    them and so reaches only two corners.
    """
    wanted = np.multiply(size, rng.uniform(0.75, 1.25, 2))
    h, w = np.clip(wanted, 1, (height, width)).astype(int)
    shares = rng.uniform(0, 0.25, 2)
    far = rng.random(2) < 0.5
    shares = np.where(far, 1 - shares, shares)
    top, left = np.rint(shares * (height - h, width - w)).astype(int)
    return Crop(int(top), int(left), int(h), int(w), size)


def scale_jitter(
    height: int,
    width: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    largest: float = 1.25,
) -> Crop:
    """Draw a crop of the network's size from a frame enlarged 1 to `largest`.

    Simonyan & Zisserman 2015 enlarge to 256 to 320 pixels for a crop of 224.
    """
    scale = rng.uniform(1.0, largest)
    wanted = round(size[0] / scale), round(size[1] / scale)
    taken = fit_inside(wanted, height, width)
    return _anywhere(taken, height, width, size, rng)


# Flow is not enlarged as far as frames are, and segment networks draw from
# more places (Wang et al. 2016, released models).
_FLOW_SCALES, _SEGMENT_PLACES = SCALES[:3], 13

AUGMENTATIONS: dict[str, Draw] = {
    "centre": centre,
    "random": random_crop,
    "multi_scale": multi_scale,
    "multi_scale_flow": partial(multi_scale, scales=_FLOW_SCALES),
    # Height and width apart, as Feichtenhofer et al. draw them for flow.
    "multi_scale_free": partial(multi_scale, max_distort=len(SCALES)),
    "multi_scale_13": partial(multi_scale, positions=_SEGMENT_PLACES),
    "multi_scale_13_flow": partial(
        multi_scale, scales=_FLOW_SCALES, positions=_SEGMENT_PLACES
    ),
    "aspect_jitter": aspect_jitter,
    "scale_jitter": scale_jitter,
}


def get_augmentation(name: str | Draw, rounding: str = "floor") -> Draw:
    """Return the augmentation called `name`.

    Args:
        name: A name in `AUGMENTATIONS`, or a function of (height, width,
            size, generator) that returns a `Crop`.
        rounding: Rounding of "centre" between two pixels, see `ClipSpec`.

    Raises:
        SpecError: If there is no such augmentation.
    """
    if callable(name):
        return name
    check_choice("augment", name, AUGMENTATIONS, otherwise=", or a function")
    if name == "centre":
        return partial(centre, rounding=rounding)
    return AUGMENTATIONS[name]


# === Colour ===


def draw_colour(rng: np.random.Generator, strength: float = 0.4) -> np.ndarray:
    """Draw a change of brightness, contrast and saturation.

    Args:
        rng: Random generator, see `generator`.
        strength: Largest relative change of each, 0 for none.

    Returns:
        (3, 4) float32 matrix to multiply an RGB pixel, with 1 appended, by.
    """
    bright, contrast, colourful = rng.uniform(1 - strength, 1 + strength, 3)
    grey = np.ones((3, 1)) * _GREY
    matrix = (
        bright * contrast * (colourful * np.eye(3) + (1 - colourful) * grey)
    )
    # Contrast turns about mid-grey.
    offset = np.full((3, 1), 127.5 * bright * (1 - contrast))
    return np.hstack([matrix, offset]).astype(np.float32)


def apply_colour(frames: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a (3, 4) matrix of `draw_colour` to (N, H, W, 3) uint8 frames."""
    count, height, width, _ = frames.shape
    flat = frames.reshape(count * height, width, 3)
    return cv2.transform(flat, matrix).reshape(frames.shape)


# === Sizes ===


def _snap(length: float, target: int) -> int:
    return target if abs(int(length) - target) < _SNAP else max(1, int(length))


def _anywhere(
    taken: tuple[int, int], height: int, width: int, size, rng
) -> Crop:
    top = int(rng.integers(height - taken[0] + 1))
    left = int(rng.integers(width - taken[1] + 1))
    return Crop(top, left, *taken, size)
