"""The size in a picture's header, against the pictures that OpenCV writes."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_twostream.data.video.headers import picture_size

SIDES = st.integers(1, 300)
_KINDS = ["png", "jpg", "bmp", "webp", "tif", "ppm"]


@given(SIDES, SIDES, st.sampled_from(_KINDS))
def test_the_size_of_every_kind(height, width, kind):
    image = np.zeros((height, width, 3), np.uint8)
    content = cv2.imencode(f".{kind}", image)[1]
    assert picture_size(content) == (height, width)
    assert picture_size(content.tobytes()) == (height, width)


@pytest.mark.parametrize("quality", [30, 100, 101])
def test_lossy_and_lossless_webp(quality):
    image = np.zeros((20, 30, 3), np.uint8)
    options = [cv2.IMWRITE_WEBP_QUALITY, quality]
    assert picture_size(cv2.imencode(".webp", image, options)[1]) == (20, 30)


def test_progressive_and_padded_jpegs_state_their_size():
    image = np.zeros((20, 30, 3), np.uint8)
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    padded = content[:2].tobytes() + b"\xff" * 3 + content[2:].tobytes()
    assert picture_size(content) == picture_size(padded) == (20, 30)


@pytest.mark.parametrize(("head", "kind"), [("<2sHI", b"II"), (">2sHI", b"MM")])
def test_tiffs_state_their_size_in_either_order(head, kind):
    entries = [(256, 3, 1, 30), (257, 4, 1, 20)]
    if kind == b"MM":  # a short value stands at the start of its field
        entries[0] = (256, 3, 1, 30 << 16)
    rows = b"".join(struct.pack(f"{head[0]}HHII", *row) for row in entries)
    content = struct.pack(head, kind, 42, 10) + b"??"
    content += struct.pack(f"{head[0]}H", 2) + rows
    assert picture_size(content) == (20, 30)
    long = struct.pack(f"{head[0]}2sHHHQQ", kind, 43, 8, 0, 16, 1)
    row = struct.pack(f"{head[0]}HHQQ", 256, 16, 1, 30)
    assert picture_size(long + row) is None
    other = struct.pack(f"{head[0]}HHQQ", 257, 16, 1, 20)
    long = struct.pack(f"{head[0]}2sHHHQQ", kind, 43, 8, 0, 16, 2)
    assert picture_size(long + row + other) == (20, 30)


def test_a_pixmap_s_size_may_follow_a_comment():
    assert picture_size(b"P5\n# by a camera\n30 # wide\n20\n255\n") == (20, 30)


def test_a_bitmap_may_start_at_the_top_row():
    head = struct.pack("<2s16xii", b"BM", 30, -20)
    assert picture_size(head) == (20, 30)


@example(b"MM\0+", b"\0\0\0\0\x80" + bytes(7))  # an offset of 2^63
@given(
    st.sampled_from(
        [
            *(b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"),
            *(b"RIFF....WEBPVP8X", b"II*\0\x08\0\0\0\2\0", b"MM\0+", b"P6 "),
        ]
    ),
    st.binary(max_size=40),
)
def test_any_bytes_have_a_size_or_none(start, rest):
    size = picture_size(start + rest)
    assert size is None or min(size) >= 0
