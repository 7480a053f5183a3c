"""What one does with flow fields: encode, mirror, resize, stack, compare.

A field is a float array (..., H, W, 2L) in pixels with channels x1, y1, x2,
y2, ...; L is 1 for a single field.
"""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.errors import SpecError
from keras_twostream.spec import STACKINGS

_ENCODED = {8: np.uint8, 16: np.uint16}


def encode(flow: np.ndarray, bound: float = 20.0, bits: int = 8) -> np.ndarray:
    """Flow as unsigned integers: round((2^bits - 1) (f + B) / 2B).

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
        SpecError: If `bound` or `bits` is not as above.
    """
    levels = _levels(bound, bits)
    scaled = (np.asarray(flow, np.float64) + bound) * (levels / (2 * bound))
    return np.clip(np.rint(scaled), 0, levels).astype(_ENCODED[bits])


def decode(
    encoded: np.ndarray, bound: float = 20.0, bits: int | None = None
) -> np.ndarray:
    """Flow in pixels from `encode`'s integers.

    Args:
        encoded: Integer array of any shape.
        bound: B, as it was encoded with.
        bits: 8 or 16; by default what the array's type says.

    Returns:
        float32 array of the same shape, in pixels.

    Raises:
        SpecError: If `bound` or `bits` is not as above.
    """
    encoded = np.asarray(encoded)
    bits = encoded.dtype.itemsize * 8 if bits is None else bits
    levels = _levels(bound, bits)
    flow = encoded.astype(np.float64) * (2 * bound / levels) - bound
    return flow.astype(np.float32)


def mirror(flow: np.ndarray) -> np.ndarray:
    """The flow of the mirrored video: width flipped, x negated.

    Args:
        flow: (..., H, W, 2L) in pixels.

    Returns:
        Array of the same shape and type.
    """
    flipped = _check_field(flow)[..., ::-1, :].copy()
    flipped[..., 0::2] *= -1
    return flipped


def resize(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The flow of the resized video: displacements scale with the image.

    Args:
        flow: (..., H, W, 2L) in pixels.
        size: (height, width) of the result.

    Returns:
        (..., height, width, 2L) float32.
    """
    flow = _check_field(flow)
    height, width, channels = flow.shape[-3:]
    shrinks = size[0] * size[1] < height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # OpenCV resizes at most four channels at a time by area.
    planes = np.moveaxis(flow, -1, -3).reshape(-1, height, width)
    resized = [
        cv2.resize(plane, (size[1], size[0]), interpolation=method)
        for plane in np.ascontiguousarray(planes, np.float32)
    ]
    result = np.stack(resized).reshape(*flow.shape[:-3], channels, *size)
    result = np.moveaxis(result, -3, -1).copy()
    result[..., 0::2] *= size[1] / width
    result[..., 1::2] *= size[0] / height
    return result


def stack(fields: np.ndarray, stacking: str = "forward") -> np.ndarray:
    """L flow fields as one input of 2L channels, x1, y1, x2, y2, ...

    Simonyan & Zisserman 2014, section 3.1. "forward" and "bidirectional"
    differ in which fields are given (`ClipSpec.flow_pairs`); "trajectory"
    samples field k where the point has moved to by then:
    p_1 = p, p_k = p_(k-1) + d_(k-1)(p_(k-1)).

    Args:
        fields: (L, H, W, 2) in pixels, in order.
        stacking: "forward", "bidirectional" or "trajectory".

    Returns:
        (H, W, 2L) float32.

    Raises:
        SpecError: If the shape or the name is not as above.
    """
    fields = np.asarray(fields, np.float32)
    if fields.ndim != 4 or fields.shape[-1] != 2:
        raise SpecError(
            "`fields` must have shape (L, H, W, 2). "
            f"Received: shape={fields.shape}"
        )
    if stacking not in STACKINGS:
        raise SpecError(
            f"`stacking` must be one of {', '.join(STACKINGS)}. "
            f"Received: stacking={stacking!r}"
        )
    if stacking == "trajectory":
        fields = _along_trajectories(fields)
    length, height, width, _ = fields.shape
    return fields.transpose(1, 2, 0, 3).reshape(height, width, 2 * length)


def end_point_error(
    flow: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None
) -> float:
    """Mean distance in pixels between two flow fields.

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
    if mask is not None:
        known &= np.asarray(mask, bool)
    distance = np.linalg.norm(flow - truth, axis=-1)[known]
    return float(distance.mean()) if distance.size else float("nan")


def _along_trajectories(fields: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(fields.shape[1:3], np.float32)
    point = np.stack([columns, rows], axis=-1)
    followed = [fields[0]]
    for field in fields[1:]:
        point = point + followed[-1]
        followed.append(
            cv2.remap(
                field,
                point,
                None,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return np.stack(followed)


def _levels(bound: float, bits: int) -> int:
    if not bound > 0:
        raise SpecError(
            f"`bound` must be greater than 0. Received: bound={bound!r}"
        )
    if bits not in _ENCODED:
        raise SpecError(f"`bits` must be 8 or 16. Received: bits={bits!r}")
    return 2**bits - 1


def _check_field(flow: np.ndarray) -> np.ndarray:
    flow = np.asarray(flow)
    if flow.ndim < 3 or flow.shape[-1] % 2 or flow.dtype.kind != "f":
        raise SpecError(
            "Flow must be a float array of shape (..., H, W, 2L), in pixels; "
            "decode 8-bit flow first (`flow.decode`). "
            f"Received: shape={flow.shape}, dtype={flow.dtype}"
        )
    return flow
