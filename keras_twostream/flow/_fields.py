"""Operations on flow fields: encode, mirror, resize, stack, compare.

A field is a float array (..., H, W, 2L) in pixels with channels x1, y1, x2,
y2, ...; L is 1 for a single field.
"""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.errors import (
    SpecError,
    check_choice,
    check_count,
    check_number,
)
from keras_twostream.spec import BOTH_WAYS, STACKINGS, TRAJECTORIES

_ENCODED = {8: np.uint8, 16: np.uint16}


def encode(flow: np.ndarray, bound: float = 20.0, bits: int = 8) -> np.ndarray:
    """Return flow as unsigned integers: round((2^bits - 1) (f + B) / 2B).

    With 8 bits this is the convention of the dense_flow tools, in which no
    level means "no motion": 0 becomes 128, which decodes to B/255. Within the
    bound, encoding and decoding again is off by at most half a level:
    B / (2^bits - 1), for B = 20 0.078 px with 8 bits and 0.0003 px with 16.

    Args:
        flow: Float array of any shape, in pixels.
        bound: B, pixels at which displacement is clipped.
        bits: 8 or 16.

    Returns:
        uint8 or uint16 array of the same shape.

    Raises:
        SpecError: If `bound` or `bits` is not as above, or the flow has no
            value (NaN) somewhere.
    """
    levels_to_pixels(bound, bits)  # refuses a bad encoding
    top = 2**bits - 1
    # Counted from the middle, so that rest lies there for every bound.
    levels = np.asarray(flow, np.float64) * (top / (2 * bound)) + top / 2
    if np.isnan(levels).any():
        raise SpecError(
            f"The flow is NaN at {np.isnan(levels).sum()} of {levels.size} "
            "places, which no level means. Set them to 0, or compute it again."
        )
    return np.clip(np.rint(levels), 0, top).astype(_ENCODED[bits])


def decode(
    encoded: np.ndarray, bound: float = 20.0, bits: int | None = None
) -> np.ndarray:
    """Return flow in pixels from `encode`'s integers.

    Args:
        encoded: Integer array of any shape.
        bound: B, as it was encoded with.
        bits: 8 or 16; by default as the array's type has it.

    Returns:
        float32 array of the same shape, in pixels.

    Raises:
        SpecError: If `bound` or `bits` is not as above.
    """
    encoded = np.asarray(encoded)
    bits = encoded.dtype.itemsize * 8 if bits is None else bits
    step, first = levels_to_pixels(bound, bits)
    return (encoded.astype(np.float64) * step + first).astype(np.float32)


def levels_to_pixels(
    bound: float = 20.0, bits: int = 8, zero: int | None = None
) -> tuple[float, float]:
    """Return the line on which a level's displacement lies.

    A level of an encoded field means `step * level + first` pixels. Every
    reader of encoded flow takes the two numbers from here, whether it works
    in NumPy, in OpenCV or inside a graph.

    Args:
        bound: B, pixels of the extreme levels.
        bits: 8 or 16 bits per level.
        zero: The level that pixels at rest have in the files: the upper of
            the two in the middle (128 of 8 bits) for tools that round, as
            `encode` does, and the lower one (127) for tools that truncate,
            whose levels all stand for half a level more. None means the
            upper one.

    Returns:
        `step` and `first`, both in pixels.

    Raises:
        SpecError: If an argument is not as above.

    Example:
        >>> step, first = flow.levels_to_pixels(bound=20.0)
        >>> pixels = image.astype("float32") * step + first
    """
    check_number("bound", bound)
    if bits not in _ENCODED:
        raise SpecError(f"`bits` must be 8 or 16. Received: bits={bits!r}")
    upper = 2 ** (bits - 1)
    if zero not in (None, upper - 1, upper):
        raise SpecError(
            f"`zero` must be {upper - 1} or {upper}, the levels in the middle "
            f"of {bits} bits. Received: zero={zero!r}"
        )
    step = 2 * bound / (2**bits - 1)
    truncated = zero == upper - 1
    return step, step / 2 - bound if truncated else -bound


def mirror(flow: np.ndarray) -> np.ndarray:
    """Return the flow of the mirrored video: width flipped, x negated.

    Args:
        flow: (..., H, W, 2L) in pixels.

    Returns:
        Array of the same shape and type.
    """
    flipped = _check_field(flow)[..., ::-1, :].copy()
    flipped[..., 0::2] *= -1
    return flipped


def resize(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the flow of the resized video; displacements scale with it.

    Args:
        flow: (..., H, W, 2L) in pixels.
        size: (height, width) of the result.

    Returns:
        (..., height, width, 2L) float32.

    Raises:
        SpecError: If the field or the size is not as above.
    """
    flow = _check_field(flow)
    if np.ndim(size) != 1 or len(size) != 2:
        raise SpecError(
            f"`size` must be (height, width). Received: size={size!r}"
        )
    for name, side in zip(("height", "width"), size, strict=True):
        check_count(name, side)
    height, width, channels = flow.shape[-3:]
    shrinks = size[0] * size[1] < height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # OpenCV resizes at most four channels at a time by area.
    planes = np.moveaxis(flow, -1, -3).reshape(-1, height, width)
    resized = np.empty((len(planes), *size), np.float32)
    for place, plane in enumerate(np.ascontiguousarray(planes, np.float32)):
        resized[place] = cv2.resize(plane, size[::-1], interpolation=method)
    result = resized.reshape(*flow.shape[:-3], channels, *size)
    result = np.moveaxis(result, -3, -1).copy()
    result[..., 0::2] *= size[1] / width
    result[..., 1::2] *= size[0] / height
    return result


def stack(
    fields: np.ndarray,
    stacking: str = "forward",
    mean_subtraction: bool = False,
) -> np.ndarray:
    """Stack L flow fields as one input of 2L channels, x1, y1, x2, y2, ...

    Simonyan & Zisserman 2014, section 3.1. "forward" and "bidirectional"
    differ in which fields are given (`ClipSpec.flow_pairs`); "trajectory"
    samples field k where the point has moved to by then:
    p_1 = p, p_k = p_(k-1) + d_(k-1)(p_(k-1)). "bidirectional_trajectory" does
    so in both halves of the fields, forwards in the first and backwards in
    the second.

    Args:
        fields: (L, H, W, 2) in pixels, in order.
        stacking: "forward", "bidirectional", "trajectory" or
            "bidirectional_trajectory".
        mean_subtraction: Whether each field loses its own mean vector. Points
            are followed with the motion as it was.

    Returns:
        (H, W, 2L) float32.

    Raises:
        SpecError: If the shape or the name is not as above.
    """
    fields = np.asarray(fields, np.float32)
    if fields.ndim != 4 or fields.shape[-1] != 2 or not len(fields):
        raise SpecError(
            "`fields` must have shape (L, H, W, 2), L 1 or more. "
            f"Received: shape={fields.shape}"
        )
    check_choice("stacking", stacking, STACKINGS)
    if stacking in BOTH_WAYS and len(fields) % 2:
        raise SpecError(
            f"Of {stacking!r} half of the fields point each way, so that L is "
            f"even. Received: shape={fields.shape}"
        )
    sampled = fields
    if stacking in TRAJECTORIES:
        ways = np.split(fields, 2) if stacking in BOTH_WAYS else [fields]
        sampled = np.concatenate([_along_trajectories(way) for way in ways])
    if mean_subtraction:
        sampled = sampled - mean_motion(fields)
    length, height, width, _ = fields.shape
    return sampled.transpose(1, 2, 0, 3).reshape(height, width, 2 * length)


def mean_motion(fields: np.ndarray) -> np.ndarray:
    """Return the mean vector of each field, which a moving camera dominates.

    Args:
        fields: (..., H, W, 2) float32.

    Returns:
        (..., 1, 1, 2) float32.
    """
    means = fields.mean(axis=(-3, -2), dtype=np.float64, keepdims=True)
    return means.astype(np.float32)


def end_point_error(
    flow: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None
) -> float:
    """Return the mean distance in pixels between two flow fields.

    Args:
        flow: (..., H, W, 2) in pixels.
        truth: (..., H, W, 2) in pixels. Values of 1e9 and more mean
            "unknown", as in Middlebury's files, and are left out.
        mask: (..., H, W) bool, True where the error counts.

    Returns:
        The mean end-point error; NaN where nothing counts.

    Raises:
        SpecError: If the shapes differ.
    """
    flow, truth = _check_field(flow), _check_field(truth)
    if flow.shape != truth.shape:
        raise SpecError(
            "End-point error compares fields of one shape. "
            f"Received: {flow.shape} and {truth.shape}"
        )
    known = (np.abs(truth) < 1e9).all(axis=-1)
    if mask is not None and np.shape(mask) != known.shape:
        raise SpecError(
            "`mask` must have the shape of the fields without their last "
            f"axis, {known.shape}. Received: {np.shape(mask)}"
        )
    if mask is not None:
        known &= np.asarray(mask, bool)
    distance = np.linalg.norm(flow - truth, axis=-1)[known]
    return float(distance.mean()) if distance.size else float("nan")


def _along_trajectories(fields: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(fields.shape[1:3], np.float32)
    # As planes every step runs along contiguous rows.
    planes = np.ascontiguousarray(np.moveaxis(fields, -1, 1))
    followed, moved = [planes[0]], planes[0]
    for field in planes[1:]:
        sampled = _sample(field, columns + moved[0], rows + moved[1])
        followed.append(sampled)
        moved = moved + sampled
    return np.moveaxis(np.stack(followed), 1, -1)


def _sample(planes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample planes (C, H, W) at points (H, W), border repeated outside.

    Sampling is exactly bilinear, in the steps that `_planes.warp` takes in
    the graph; OpenCV's remap rounds points to 1/32 px.
    """
    height, width = x.shape
    left, right, part_x = _neighbours(x, width)
    above, below, part_y = _neighbours(y, height)

    def sample(values: np.ndarray) -> np.ndarray:
        def row(number: np.ndarray) -> np.ndarray:
            # Indices are within bounds; "wrap" is NumPy's fastest check.
            at_left = values.take(number * width + left, mode="wrap")
            at_right = values.take(number * width + right, mode="wrap")
            return at_left + part_x * (at_right - at_left)

        top = row(above)
        return top + part_y * (row(below) - top)

    return np.stack([sample(plane) for plane in planes])


def _neighbours(
    place: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places' neighbours along an axis, and the second one's share."""
    place = np.clip(place, 0, size - 1)
    lower = np.floor(place)
    start = lower.astype(np.intp)
    return start, np.minimum(start + 1, size - 1), place - lower


def _check_field(flow: np.ndarray) -> np.ndarray:
    flow = np.asarray(flow)
    if flow.ndim < 3 or flow.shape[-1] % 2 or flow.dtype.kind != "f":
        raise SpecError(
            "Flow must be a float array of shape (..., H, W, 2L), in pixels; "
            "decode 8-bit flow first (`flow.decode`). "
            f"Received: shape={flow.shape}, dtype={flow.dtype}"
        )
    return flow
