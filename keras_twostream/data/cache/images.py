"""Encoding and decoding of one frame or one flow field."""

import functools

import numpy as np

from keras_twostream import flow
from keras_twostream._opencv import cv2
from keras_twostream.data.cache.contract import Contract
from keras_twostream.data.video.headers import picture_size
from keras_twostream.errors import VideoError

_TYPES = {8: np.uint8, 16: np.uint16}
# PNG's fastest level: slower ones save a few percent of a noisy field.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def pack_frame(frame: np.ndarray, contract: Contract) -> bytes:
    """Return the bytes of an (H, W, 3) uint8 RGB frame."""
    if contract.rgb_encoding == "raw":
        return np.ascontiguousarray(frame).tobytes()
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return _encode(bgr, contract.rgb_encoding, contract.quality)


def pack_field(field: np.ndarray, contract: Contract) -> bytes:
    """Return the bytes of an (H, W, 2) field in pixels, x above y."""
    levels = flow.encode(field, contract.flow_bound, contract.bits)
    planes = np.concatenate([levels[..., 0], levels[..., 1]])
    if contract.flow_encoding == "raw":
        return planes.tobytes()
    return _encode(planes, contract.flow_encoding, contract.quality)


def unpack_frame(
    payload: np.ndarray, size: tuple[int, int], contract: Contract
) -> np.ndarray:
    """Return the (H, W, 3) uint8 RGB frame in `payload`, a uint8 array.

    Raises:
        ValueError: If it is damaged.
    """
    if contract.rgb_encoding == "raw":
        return payload.reshape(*size, 3)
    return _decode(payload, cv2.IMREAD_COLOR_RGB, (*size, 3))


def unpack_levels(
    payload: np.ndarray, size: tuple[int, int], contract: Contract
) -> np.ndarray:
    """Return the (2H, W) uint8 or uint16 levels of a field: x above y.

    Raises:
        ValueError: If `payload`, a uint8 array, is damaged.
    """
    shape = (2 * size[0], size[1])
    if contract.flow_encoding == "raw":
        return payload.view(_TYPES[contract.bits]).reshape(shape)
    return _decode(payload, cv2.IMREAD_UNCHANGED, shape)


def to_pixels(
    levels: np.ndarray, contract: Contract, field: np.ndarray
) -> None:
    """Convert levels of `unpack_levels` into an (H, W, 2) float32 field."""
    values = _table(contract.flow_bound, contract.bits)
    x, y = np.split(levels, 2)
    np.take(values, x, out=field[..., 0])
    np.take(values, y, out=field[..., 1])


@functools.lru_cache(maxsize=8)
def _table(bound: float, bits: int) -> np.ndarray:
    """Return the displacement of each level; a lookup is the fastest way."""
    levels = np.arange(2**bits, dtype=_TYPES[bits])
    return flow.decode(levels, bound, bits)


def _encode(image: np.ndarray, encoding: str, quality: int) -> bytes:
    if encoding == "png":
        done, buffer = cv2.imencode(".png", image, _PNG)
    else:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        done, buffer = cv2.imencode(".jpg", image, options)
    if not done:
        raise VideoError(f"OpenCV could not encode an image as {encoding}.")
    return buffer.tobytes()


def _decode(payload: np.ndarray, flags: int, shape) -> np.ndarray:
    size = picture_size(payload)
    if size is not None and size != tuple(shape[:2]):
        raise ValueError(f"expected {shape}, its header says {size}")
    image = cv2.imdecode(payload, flags)
    if image is None or image.shape != shape:
        actual = "nothing" if image is None else image.shape
        raise ValueError(f"expected {shape}, found {actual}")
    return image
