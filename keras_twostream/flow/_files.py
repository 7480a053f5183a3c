"""Middlebury's .flo files (Baker et al. 2011): little-endian float32.

A magic number, width, height (int32), then u and v of each pixel by rows.
"""

import os

import numpy as np

from keras_twostream._files import expanded
from keras_twostream.errors import SpecError

_MAGIC = b"PIEH"
_HEADER_BYTES = 12


def read_flo(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the flow field in a .flo file.

    Args:
        path: The file.

    Returns:
        (H, W, 2) float32 in pixels; unknown displacement is above 1e9.

    Raises:
        SpecError: If the file is not a whole .flo file.
    """
    content = expanded(path).read_bytes()
    if content[:4] != _MAGIC or len(content) < _HEADER_BYTES:
        raise SpecError(
            f"A .flo file starts with {_MAGIC!r}. "
            f"Received: {content[:4]!r} in {path}"
        )
    width, height = np.frombuffer(content, "<i4", 2, offset=4).tolist()
    body = content[_HEADER_BYTES:]
    if width < 1 or height < 1 or len(body) != width * height * 8:
        raise SpecError(
            f"{path} says it holds {width} x {height} pixels of 8 bytes, and "
            f"holds {len(body)} bytes. It is truncated or damaged."
        )
    return np.frombuffer(body, "<f4").reshape(height, width, 2).copy()
