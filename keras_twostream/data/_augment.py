"""Crops, mirrors and colour changes, the same for both streams of a clip.

Drawing and applying are apart: a draw is a `Crop` (and a colour matrix), a
few numbers, and applying it is the same for every frame, rgb or flow. Flow is
displacement, so resizing it scales its values and mirroring negates x.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.errors import SpecError, did_you_mean

SCALES = (1.0, 0.875, 0.75, 0.66)
FLOW_VALUES = ("scaled", "unscaled")
_SNAP = 3  # sizes within 3 pixels of the target are the target (Wang 2015)
# BT.601, the weights by which OpenCV makes grey from RGB.
_GREY = np.array([0.299, 0.587, 0.114])


@dataclasses.dataclass(frozen=True)
class Crop:
    """A rectangle of the frame, the size it is brought to, and a mirror.

    Attributes:
        top: First row.
        left: First column.
        height: Rows taken.
        width: Columns taken.
        size: (height, width) of the result.
        mirror: Whether left and right are exchanged.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirror: bool = False


Draw = Callable[[int, int, tuple[int, int], np.random.Generator], Crop]


# === Applying a crop ===


def crop_rgb(frames: np.ndarray, crop: Crop) -> np.ndarray:
    """Applies a crop to rgb frames.

    Args:
        frames: (N, H, W, C) uint8 or float32.
        crop: The draw.

    Returns:
        (N, *crop.size, C) of the same type.
    """
    return _apply(frames, crop)


def crop_flow(
    fields: np.ndarray, crop: Crop, values: str = "scaled"
) -> np.ndarray:
    """Applies a crop to flow fields, values included.

    Args:
        fields: (N, H, W, 2L) float32, pixels, channels x1, y1, x2, y2, ...
        crop: The draw.
        values: "scaled" keeps displacement right after resizing; "unscaled"
            leaves values as they are, as the authors' code did (Wang et al.
            2015; Feichtenhofer et al. 2016).

    Returns:
        (N, *crop.size, 2L) float32.

    Raises:
        SpecError: If `values` is not one of the two.
    """
    if values not in FLOW_VALUES:
        raise SpecError(
            f"`values` must be one of {', '.join(FLOW_VALUES)}. "
            f"Received: values={values!r}"
        )
    cropped = _apply(fields, crop)
    scale_x = scale_y = 1.0
    if values == "scaled":
        scale_y, scale_x = np.divide(crop.size, (crop.height, crop.width))
    if crop.mirror:
        scale_x = -scale_x
    if (scale_x, scale_y) != (1.0, 1.0):
        # Resized or mirrored, so `cropped` is no view of `fields`.
        cropped[..., 0::2] *= np.float32(scale_x)
        cropped[..., 1::2] *= np.float32(scale_y)
    return cropped


def crop_clip(
    clip: dict[str, np.ndarray], crop: Crop, flow_values: str = "scaled"
) -> dict[str, np.ndarray]:
    """Applies one crop to every stream of a clip.

    Args:
        clip: "rgb" (T, H, W, 3F) and/or "flow" (T, H, W, 2L).
        crop: The draw.
        flow_values: See `crop_flow`.

    Returns:
        The clip, cropped.
    """
    result = dict(clip)
    if "rgb" in clip:
        result["rgb"] = crop_rgb(clip["rgb"], crop)
    if "flow" in clip:
        result["flow"] = crop_flow(clip["flow"], crop, flow_values)
    return result


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
    """The same crop with left and right exchanged, or not."""
    return dataclasses.replace(crop, mirror=mirror)


# === Training draws ===


def centre(
    height: int,
    width: int,
    size: tuple[int, int],
    rng: np.random.Generator | None = None,
) -> Crop:
    """The middle of the frame, never mirrored; nothing is drawn."""
    del rng
    h, w = _inside(size, height, width)
    return Crop((height - h) // 2, (width - w) // 2, h, w, size)


def random_crop(
    height: int, width: int, size: tuple[int, int], rng: np.random.Generator
) -> Crop:
    """A crop of the network's size anywhere (Simonyan & Zisserman 2014)."""
    return _anywhere(_inside(size, height, width), height, width, size, rng)


def multi_scale(
    height: int,
    width: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    scales: Sequence[float] = SCALES,
    max_distort: int = 1,
    positions: int = 5,
) -> Crop:
    """Corner cropping at several scales (Wang et al. 2015, section 3.2).

    Height and width are the frame's short side times two scales at most
    `max_distort` places apart, at the corners or the centre.

    Args:
        height: Of the frame.
        width: Of the frame.
        size: (height, width) of the result.
        rng: See `generator`.
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
    h, w = _inside(pairs[rng.integers(len(pairs))], height, width)
    row, column = _POSITIONS[rng.integers(positions)]
    top = (height - h) * row // 4
    return Crop(top, (width - w) * column // 4, h, w, size)


# In quarters of the free space: corners and centre first, then the edges'
# middles, then the quarter points.
_POSITIONS = (
    *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),
    *((0, 2), (4, 2), (2, 0), (2, 4)),
    *((1, 1), (1, 3), (3, 1), (3, 3)),
)


def aspect_jitter(
    height: int, width: int, size: tuple[int, int], rng: np.random.Generator
) -> Crop:
    """Height and width drawn apart, 0.75 to 1.25 of the network's size,
    near the frame's border rather than its centre (Feichtenhofer et al.
    2016, authors' code, 'noCtr'). Both coordinates are drawn freely here:
    the code's pairing of them reached two corners only.
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
    """The frame enlarged by 1 to `largest`, a crop of the network's size
    taken anywhere (256 to 320 for 224; Simonyan & Zisserman 2015)."""
    scale = rng.uniform(1.0, largest)
    wanted = tuple(round(side / scale) for side in size)
    taken = _inside(wanted, height, width)
    return _anywhere(taken, height, width, size, rng)


AUGMENTATIONS: dict[str, Draw] = {
    "centre": centre,
    "random": random_crop,
    "multi_scale": multi_scale,
    "aspect_jitter": aspect_jitter,
    "scale_jitter": scale_jitter,
}


def get_augmentation(name: str | Draw) -> Draw:
    """The draw called `name`.

    Args:
        name: A name in `AUGMENTATIONS`, or a function of (height, width,
            size, generator) that returns a `Crop`.

    Returns:
        The function.

    Raises:
        SpecError: If there is no such augmentation.
    """
    if callable(name):
        return name
    if name not in AUGMENTATIONS:
        raise SpecError(
            f"`augment` must be one of {', '.join(AUGMENTATIONS)}, or a "
            f"function. Received: augment={name!r}."
            f"{did_you_mean(str(name), AUGMENTATIONS)}"
        )
    return AUGMENTATIONS[name]


# === Test crops ===


def view_crops(
    height: int, width: int, size: tuple[int, int], name: str = "centre"
) -> list[Crop]:
    """The crops that a frame is tested on.

    - "centre": one.
    - "3-crop": left, centre, right of the long side, squares of the short
      one (I3D's successors).
    - "10-crop": corners and centre, and their mirrors.
    - "whole": the frame itself, and "whole_mirrored" with its mirror, for
      networks that are fully convolutional.

    Args:
        height: Of the frame.
        width: Of the frame.
        size: (height, width) the network sees.
        name: A name above.

    Returns:
        A list of `Crop`.

    Raises:
        SpecError: If there is no such set of crops.
    """
    if name not in VIEW_CROPS:
        raise SpecError(
            f"`crops` must be one of {', '.join(VIEW_CROPS)}. "
            f"Received: crops={name!r}"
        )
    return VIEW_CROPS[name](height, width, size)


def _whole(height: int, width: int, size) -> list[Crop]:
    del size
    return [Crop(0, 0, height, width, (height, width))]


def _three_crops(height: int, width: int, size) -> list[Crop]:
    side = min(height, width)
    places = [(0, 0), (2, 2), (4, 4)]
    return [
        Crop(
            (height - side) * row // 4,
            (width - side) * column // 4,
            side,
            side,
            size,
        )
        for row, column in places
    ]


def _five_crops(height: int, width: int, size) -> list[Crop]:
    h, w = _inside(size, height, width)
    return [
        Crop((height - h) * row // 4, (width - w) * column // 4, h, w, size)
        for row, column in _POSITIONS[:5]
    ]


def _with_mirrors(crops: list[Crop]) -> list[Crop]:
    return crops + [mirrored(crop) for crop in crops]


VIEW_CROPS: dict[str, Callable[..., list[Crop]]] = {
    "centre": lambda *args: [centre(*args)],
    "3-crop": _three_crops,
    "10-crop": lambda *args: _with_mirrors(_five_crops(*args)),
    "whole": _whole,
    "whole_mirrored": lambda *args: _with_mirrors(_whole(*args)),
}


# === Colour ===


def draw_colour(rng: np.random.Generator, strength: float = 0.4) -> np.ndarray:
    """Brightness, contrast and saturation, each changed by up to `strength`.

    Args:
        rng: See `generator`.
        strength: 0 for no change.

    Returns:
        (3, 4) float32: what an RGB pixel with a 1 appended is multiplied by.
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
    """Applies `draw_colour`'s matrix.

    Args:
        frames: (N, H, W, 3) uint8 RGB.
        matrix: (3, 4).

    Returns:
        (N, H, W, 3) uint8.
    """
    count, height, width, _ = frames.shape
    flat = frames.reshape(count * height, width, 3)
    return cv2.transform(flat, matrix).reshape(frames.shape)


# === Sizes ===


def _inside(size: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """`size` made smaller, with its shape kept, until it fits the frame."""
    scale = min(1.0, height / size[0], width / size[1])
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _snap(length: float, target: int) -> int:
    return target if abs(int(length) - target) < _SNAP else int(length)


def _anywhere(
    taken: tuple[int, int], height: int, width: int, size, rng
) -> Crop:
    top = int(rng.integers(height - taken[0] + 1))
    left = int(rng.integers(width - taken[1] + 1))
    return Crop(top, left, *taken, size)
