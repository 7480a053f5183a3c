"""Region proposals from windows that contrast with their surroundings.

Windows of several sizes and shapes cover the frame. A window's worth is the
contrast of motion and of contours between its inside and a ring around it,
times its area to a power: enclosed contours suggest an object (Zitnick &
Dollar 2014, "Edge boxes"), and here so does enclosed motion. All sums come
from integral images. Only the best of nearly coincident windows is kept.
"""

import functools

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.detection.geometry import (
    aligned_overlaps,
    areas,
    clip,
    sums,
)
from keras_twostream.detection.saliency import magnitude
from keras_twostream.errors import SpecError, check_number

_RING = 0.2  # width of the ring, in sides of the window
_CHOICE = 20  # windows examined for each one kept


def windows(
    frame: np.ndarray,
    flow: np.ndarray,
    limit: int,
    *,
    smallest: float = 0.38,
    largest: float = 1.0,
    step: float = 1.3,
    shapes: tuple[float, ...] = (0.28, 0.45, 0.7, 1.1),
    stride: float = 0.25,
    apart: float = 0.65,
    motion: float = 0.2,
    power: float = 0.7,
) -> np.ndarray:
    """Return boxes of a frame that may contain an object.

    Args:
        frame: (H, W, 3) uint8.
        flow: (H, W, 2) in pixels.
        limit: Largest number of boxes.
        smallest: Smallest height of windows, relative to the frame's.
        largest: Largest height of windows, relative to the frame's.
        step: Factor from one height to the next.
        shapes: Ratios of width to height.
        stride: Distance from one window to the next, in sides of the window.
        apart: Overlap above which only the better of two windows is kept.
        motion: Weight of motion against contours, 0..1.
        power: Exponent of the area.

    Returns:
        (N, 4) float32, the best first.

    Raises:
        SpecError: If a parameter makes no sense, or no window fits the frame.
    """
    _check(smallest, largest, step, shapes, stride, apart, motion, power)
    size = frame.shape[:2]
    heights = _heights(size[0], smallest, largest, step)
    boxes = _grid(size, heights, tuple(shapes), stride)
    worth = motion * _contrast(boxes, magnitude(flow, stabilise=True))
    worth = worth + (1 - motion) * _contrast(boxes, _contours(frame))
    worth = worth * areas(boxes) ** power
    return _apart(boxes, worth, apart, limit)


def _check(
    smallest: float,
    largest: float,
    step: float,
    shapes: tuple[float, ...],
    stride: float,
    apart: float,
    motion: float,
    power: float,
) -> None:
    check_number("smallest", smallest)
    check_number("largest", largest, smallest, ends=True)
    check_number("step", step, 1.0)
    for shape in np.atleast_1d(np.asarray(shapes)).tolist():
        check_number("shapes", shape)
    check_number("stride", stride)
    for name, share in (("apart", apart), ("motion", motion)):
        check_number(name, share, 0, 1, ends=True)
    check_number("power", power, ends=True)


def _heights(
    height: int, smallest: float, largest: float, step: float
) -> tuple[float, ...]:
    count = int(np.floor(np.log(largest / smallest) / np.log(step))) + 1
    return tuple(height * smallest * step**i for i in range(count))


@functools.lru_cache(maxsize=8)
def _grid(
    size: tuple[int, int],
    heights: tuple[float, ...],
    shapes: tuple[float, ...],
    stride: float,
) -> np.ndarray:
    """Return the (N, 4) windows of a frame size."""
    grids = []
    for tall in heights:
        for shape in shapes:
            wide = tall * shape
            if wide > size[1] or wide < 4:
                continue
            x = _places(size[1], wide, stride)
            y = _places(size[0], tall, stride)
            left, top = (v.ravel() for v in np.meshgrid(x, y))
            grids.append(
                np.stack([left, top, left + wide - 1, top + tall - 1], axis=1)
            )
    if not grids:
        raise SpecError(
            f"No window of the heights {[round(x) for x in heights]} and the "
            f"`shapes` {list(shapes)} fits a frame of {size[1]}x{size[0]}. "
            "Change `smallest`, `largest` or `shapes` in the parameters of "
            "`regions`."
        )
    boxes = np.rint(np.concatenate(grids)).astype(np.float32)
    return np.unique(clip(boxes, *size), axis=0)


def _places(length: int, side: float, stride: float) -> np.ndarray:
    """Return evenly spaced starts from one edge to the other."""
    room = max(length - side, 0)
    return np.linspace(0, room, int(np.ceil(room / (stride * side))) + 1)


def _contours(frame: np.ndarray) -> np.ndarray:
    """Return the (H, W) strength of contours over all colours."""
    blurred = cv2.GaussianBlur(frame, (0, 0), 1.0).astype(np.float32)
    across = cv2.Sobel(blurred, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(blurred, cv2.CV_32F, 0, 1)
    return np.sqrt((across**2 + down**2).sum(axis=-1))


def _contrast(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return each box's (N,) contrast with its ring, in means of the image."""
    total = cv2.integral(image.astype(np.float32))
    ring = _RING * (boxes[:, 2:] - boxes[:, :2] + 1)
    wider = np.concatenate([boxes[:, :2] - ring, boxes[:, 2:] + ring], axis=1)
    wider = np.rint(clip(wider, *image.shape))
    inside, around = sums(total, boxes), sums(total, wider)
    area, outer = areas(boxes), areas(wider)
    rest = (around - inside) / np.maximum(outer - area, 1)
    return (inside / area - rest) / max(float(image.mean()), 1e-6)


def _apart(
    boxes: np.ndarray, worth: np.ndarray, threshold: float, limit: int
) -> np.ndarray:
    """Return the best boxes without those that nearly repeat a better one."""
    order = np.argsort(-worth, kind="stable")[: _CHOICE * limit]
    kept: list[int] = []
    while order.size and len(kept) < limit:
        best = order[0]
        kept.append(best)
        shared = aligned_overlaps(boxes[best], boxes[order])
        shared[0] = 1.0
        order = order[shared <= threshold]
    return boxes[kept]
