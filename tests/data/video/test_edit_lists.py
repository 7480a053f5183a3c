"""Edit lists within a file: MP4 whose middle is cut out by its index alone.

FFmpeg writes none of these, so the tests put one into a file of its own.
"""

import struct

import pytest
from numbered_videos import block_numbers, blocks, write_video

from keras_twostream.data import count_frames, iter_frames, probe, read_frames

RATE = 25
KEPT = [*range(10), *range(20, 30)]


def place_of(data, *names):
    """Offsets of boxes, each within the one before."""
    places, start = [], 0
    for name in names:
        while data[start + 4 : start + 8] != name:
            start += struct.unpack_from(">I", data, start)[0]
        places.append(start)
        start += 8
    return places


def number_in(data, offset, *names):
    """The 32-bit number at this offset of a box."""
    return struct.unpack_from(">I", data, place_of(data, *names)[-1] + offset)[
        0
    ]


def keep(path, parts):
    """Let the file's edit list name these (first frame, frames) alone.

    The index stands at the end of the file, so nothing else moves.
    """
    data = bytearray(path.read_bytes())
    ticks = number_in(data, 20, b"moov", b"trak", b"mdia", b"mdhd")
    movie_ticks = number_in(data, 20, b"moov", b"mvhd")
    start = number_in(data, 20, b"moov", b"trak", b"edts", b"elst")
    rows = b"".join(
        struct.pack(
            ">Iihh",
            movie_ticks * count // RATE,
            start + ticks * first // RATE,
            1,
            0,
        )
        for first, count in parts
    )
    edits = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(parts)) + rows
    box = struct.pack(">I4s", 8 + len(edits), b"edts") + edits
    *around, place = place_of(data, b"moov", b"trak", b"edts")
    size = struct.unpack_from(">I", data, place)[0]
    data[place : place + size] = box
    for outer in around:
        whole = struct.unpack_from(">I", data, outer)[0]
        struct.pack_into(">I", data, outer, whole + len(box) - size)
    path.write_bytes(data)


@pytest.fixture(params=["0", "2"], ids=["no B-frames", "B-frames"])
def edited(request, tmp_path):
    path = tmp_path / "edited.mp4"
    write_video(path, blocks(range(50)), bf=request.param)
    keep(path, [(0, 10), (20, 10)])
    return path


def test_only_what_an_edit_list_names_is_read(edited):
    assert block_numbers(list(iter_frames(edited))) == KEPT
    assert count_frames(edited) == len(KEPT)
    for number in reversed(range(len(KEPT))):
        [frame] = block_numbers(read_frames(edited, [number]))
        assert frame == KEPT[number]


def test_an_edit_is_no_second_recording(edited):
    info = probe(edited)
    assert info.joins == 0
    # FFmpeg leaves one frame's time at the cut where there are B-frames.
    assert info.duration == pytest.approx(len(KEPT) / RATE, abs=1.2 / RATE)
    assert info.fps == pytest.approx(RATE, rel=0.06)


def test_the_end_that_an_edit_list_cuts_is_not_read(tmp_path):
    path = tmp_path / "cut.mp4"
    write_video(path, blocks(range(30)))
    keep(path, [(0, 12)])
    assert block_numbers(list(iter_frames(path))) == list(range(12))
    assert probe(path).duration == pytest.approx(12 / RATE, abs=0.01)
