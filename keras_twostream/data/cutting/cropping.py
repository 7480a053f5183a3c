"""Crops of a clip, the same for both streams, and test-time crops.

A `Crop` is a few numbers; applying it is the same for every frame, rgb or
flow. Flow is displacement: resizing scales its values, mirroring negates x.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.video import resizing
from keras_twostream.errors import check_choice
from keras_twostream.spec import ClipSpec

FLOW_VALUES = ("scaled", "unscaled")
# In quarters of the free space: corners and centre first, then the edges'
# middles, then the quarter points.
POSITIONS = (
    *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),
    *((0, 2), (4, 2), (2, 0), (2, 4)),
    *((1, 1), (1, 3), (3, 1), (3, 3)),
)


@dataclasses.dataclass(frozen=True)
class Crop:
    """A rectangle of the frame, its size after resizing, and a mirror flag.

    Attributes:
        top: First row.
        left: First column.
        height: Rows taken.
        width: Columns taken.
        size: (height, width) of the result.
        mirror: Whether to exchange left and right.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirror: bool = False


# === Applying a crop ===


def crop_rgb(frames: np.ndarray, crop: Crop) -> np.ndarray:
    """Apply a crop to frames: (N, H, W, C) become (N, *crop.size, C)."""
    return _apply(frames, crop)


def crop_flow(
    fields: np.ndarray, crop: Crop, values: str = "scaled"
) -> np.ndarray:
    """Apply a crop to flow fields and their values.

    Args:
        fields: (N, H, W, 2L) float32, pixels, channels x1, y1, x2, y2, ...
        crop: The crop.
        values: "scaled" keeps displacement right after resizing; "unscaled"
            leaves values as they are, as the authors' code did (Wang et al.
            2015; Feichtenhofer et al. 2016).

    Returns:
        (N, *crop.size, 2L) float32.

    Raises:
        SpecError: If `values` is not one of the two.
    """
    scale_x, scale_y = flow_scale(crop, values)
    cropped = _apply(fields, crop)
    if (scale_x, scale_y) != (1.0, 1.0):
        # Resized or mirrored, so `cropped` is no view of `fields`.
        cropped[..., 0::2] *= np.float32(scale_x)
        cropped[..., 1::2] *= np.float32(scale_y)
    return cropped


def flow_scale(crop: Crop, values: str = "scaled") -> np.ndarray:
    """Return a crop's (2,) factors of displacement in x and y.

    Raises:
        SpecError: If `values` is not one of the two.
    """
    check_choice("values", values, FLOW_VALUES)
    scale = np.ones(2)
    if values == "scaled":
        scale = np.divide(crop.size, (crop.height, crop.width))[::-1].copy()
    if crop.mirror:
        scale[0] = -scale[0]
    return scale


def _apply(images: np.ndarray, crop: Crop) -> np.ndarray:
    rows = slice(crop.top, crop.top + crop.height)
    columns = slice(crop.left, crop.left + crop.width)
    images = images[:, rows, columns]
    if crop.mirror:
        images = images[:, :, ::-1]
    if images.shape[1:3] == tuple(crop.size):
        return np.ascontiguousarray(images)
    return _resize_linear(images, crop.size)


def _resize_linear(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # Bilinear as in the papers' code. OpenCV drops a last axis of length 1.
    result = np.empty((len(images), *size, images.shape[-1]), images.dtype)
    for image, target in zip(images, result, strict=True):
        resized = cv2.resize(np.ascontiguousarray(image), (size[1], size[0]))
        target[...] = resized.reshape(target.shape)
    return result


def mirrored(crop: Crop, mirror: bool = True) -> Crop:
    """Return the crop with left and right exchanged if `mirror` is set."""
    return dataclasses.replace(crop, mirror=mirror)


# === Test crops ===


def centre(
    height: int,
    width: int,
    size: tuple[int, int],
    rng: np.random.Generator | None = None,
    rounding: str = "floor",
) -> Crop:
    """Return the centre crop of the frame, never mirrored or random.

    Args:
        height: Height of the frame.
        width: Width of the frame.
        size: (height, width) of the result.
        rng: Not used; every augmentation takes one.
        rounding: Rounding of a centre between two pixels, see `ClipSpec`.
    """
    del rng
    h, w = fit_inside(size, height, width)
    free = np.subtract((height, width), (h, w)) / 2
    top, left = np.floor(free) if rounding == "floor" else np.rint(free)
    return Crop(int(top), int(left), h, w, size)


def centre_of(size: tuple[int, ...], spec: ClipSpec) -> Crop:
    """Return a clip's centre crop of frames of a (height, width)."""
    height, width = size
    return centre(height, width, spec.crop, rounding=spec.crop_rounding)


def view_crops(
    height: int,
    width: int,
    size: tuple[int, int],
    name: str = "centre",
    rounding: str = "floor",
) -> list[Crop]:
    """Return the test-time crops of a frame.

    - "centre": one.
    - "3-crop": left, centre, right of the long side, as large as fits, in
      the network's proportions: squares of the short side for a square one
      (I3D's successors).
    - "4-crop": two opposite corners, and their mirrors (Karpathy et al. 2014,
      section 4.1: 20 clips, each four times "with different crops and
      flips", without saying which).
    - "10-crop": corners and centre, and their mirrors.
    - "18-crop": three rows of three, and their mirrors (Sun et al. 2015).
    - "whole": the frame itself, and "whole_mirrored" with its mirror, for
      networks that are fully convolutional.

    Args:
        height: Height of the frame.
        width: Width of the frame.
        size: (height, width) of the network's input.
        name: A name above.
        rounding: Rounding of a centre between two pixels, see `ClipSpec`.

    Returns:
        A list of `Crop`.

    Raises:
        SpecError: If there is no such set of crops.
    """
    check_choice("crops", name, VIEW_CROPS)
    if name == "centre":
        return [centre(height, width, size, rounding=rounding)]
    return VIEW_CROPS[name](height, width, size)


def seen_part(
    size: tuple[int, int], spec: ClipSpec
) -> tuple[float, float, float, float]:
    """Return the part of a video's frames that the centre crop shows.

    Returns:
        Top, left, bottom and right edge, as shares of the frame.
    """
    resized = resizing.fit_size(size, spec.short_side, spec.resize_to)
    kept = resizing.fitted_size(size, **resizing.sizing(spec))
    crop = centre_of(kept, spec)
    (height, width), (rows, columns) = resized, kept
    top = (height - rows) // 2 + crop.top
    left = (width - columns) // 2 + crop.left
    bottom, right = top + crop.height, left + crop.width
    return top / height, left / width, bottom / height, right / width


def _whole(height: int, width: int, size) -> list[Crop]:
    del size
    return [Crop(0, 0, height, width, (height, width))]


def _three_crops(height: int, width: int, size) -> list[Crop]:
    scale = min(height / size[0], width / size[1])
    window = int(size[0] * scale + 1e-6), int(size[1] * scale + 1e-6)
    return _crops_at([(0, 0), (2, 2), (4, 4)], height, width, window, size)


def _fitting(places, height: int, width: int, size) -> list[Crop]:
    """Return crops of the network's size, and their mirrors."""
    window = fit_inside(size, height, width)
    return _with_mirrors(_crops_at(places, height, width, window, size))


def _crops_at(places, height: int, width: int, window, size) -> list[Crop]:
    h, w = window
    return [
        Crop((height - h) * row // 4, (width - w) * column // 4, h, w, size)
        for row, column in places
    ]


def _with_mirrors(crops: list[Crop]) -> list[Crop]:
    return crops + [mirrored(crop) for crop in crops]


VIEW_CROPS: dict[str, Callable[..., list[Crop]]] = {
    "centre": lambda *args: [centre(*args)],
    "3-crop": _three_crops,
    "4-crop": partial(_fitting, [(0, 0), (4, 4)]),
    "10-crop": partial(_fitting, POSITIONS[:5]),
    "18-crop": partial(_fitting, list(product((0, 2, 4), repeat=2))),
    "whole": _whole,
    "whole_mirrored": lambda *args: _with_mirrors(_whole(*args)),
}


def fit_inside(
    size: tuple[int, int], height: int, width: int
) -> tuple[int, int]:
    """Return `size`, shrunk to fit the frame with its proportions kept."""
    scale = min(1.0, height / size[0], width / size[1])
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
