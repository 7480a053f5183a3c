"""Sizes that the headers of pictures state, read before they are decoded.

Decoders take the memory for what a header claims, which may be a lie.
"""

import struct

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG's start-of-frame markers (ITU-T T.81, table B.1): C4, C8 and CC are
# tables and an extension.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length


def picture_size(content: bytes | np.ndarray) -> tuple[int, int] | None:
    """Return the (height, width) that a picture's header states.

    Args:
        content: The bytes of a PNG, JPEG, BMP or WebP file, or their start.

    Returns:
        The size, or None where the header states none, or is damaged.
    """
    view = content.data if isinstance(content, np.ndarray) else content
    data = memoryview(view).cast("B")
    try:
        if data[:8] == _PNG:
            width, height = struct.unpack_from(">II", data, 16)
        elif data[:2] == b"\xff\xd8":
            return _of_jpeg(data)
        elif data[:2] == b"BM":
            width, height = struct.unpack_from("<ii", data, 18)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _of_webp(data)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return abs(height), abs(width)


def _of_jpeg(data: memoryview) -> tuple[int, int] | None:
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        if marker == 0xFF:  # padding
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def _of_webp(data: memoryview) -> tuple[int, int] | None:
    kind = bytes(data[12:16])
    if kind == b"VP8X":  # 24 bits each, of size less one
        low_width, low_height = (
            int.from_bytes(data[i : i + 3], "little") for i in (24, 27)
        )
        return low_height + 1, low_width + 1
    if kind == b"VP8L":  # 14 bits each, of size less one
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":  # 14 bits each
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None
