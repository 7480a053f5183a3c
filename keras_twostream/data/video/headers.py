"""Sizes that the headers of pictures state, read before they are decoded.

Decoders take the memory for what a header claims, which may be a lie.
"""

import re
import struct

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG's start-of-frame markers (ITU-T T.81, table B.1): C4, C8 and CC are
# tables and an extension.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_PNM_START = 4096  # bytes that hold its size, after comments


def picture_size(content: bytes | np.ndarray) -> tuple[int, int] | None:
    """Return the (height, width) that a picture's header states.

    Args:
        content: The bytes of a PNG, JPEG, BMP, WebP, TIFF or PNM file, or their
            start.

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
        elif data[:2] in (b"II", b"MM"):
            return _of_tiff(data)
        elif match := _PNM.match(data[:_PNM_START]):
            width, height = map(int, match.groups())
        else:
            return None
    except (struct.error, IndexError, OverflowError):
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


def _of_tiff(data: memoryview) -> tuple[int, int] | None:
    """Return the size of a TIFF's first picture, or of a BigTIFF's."""
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    if version == 42:
        place, count, entry, offset = 4, "H", 12, "I"
    elif version == 43:
        place, count, entry, offset = 8, "Q", 20, "Q"
    else:
        return None
    (place,) = struct.unpack_from(order + offset, data, place)
    (entries,) = struct.unpack_from(order + count, data, place)
    place += struct.calcsize(order + count)
    sides: dict[int, int] = {}
    for start in range(place, min(place + entries * entry, len(data)), entry):
        tag, kind = struct.unpack_from(f"{order}HH", data, start)
        if tag in (256, 257):  # width and height, of 16 bits or more
            value = struct.Struct(order + _TIFF_KINDS.get(kind, "I"))
            value_at = start + entry - struct.calcsize(order + offset)
            (sides[tag],) = value.unpack_from(data, value_at)
    return (sides[257], sides[256]) if len(sides) == 2 else None


_TIFF_KINDS = {3: "H", 16: "Q"}
