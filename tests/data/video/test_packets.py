"""Files whose packets list their frames, and files that are counted."""

import dataclasses
import re

import numpy as np
import pytest
from numbered_videos import block_numbers, blocks, copy_packets, write_video

from keras_twostream.data import count_frames, iter_frames, probe, read_frames
from keras_twostream.data.video import packets, reading
from keras_twostream.data.video.packets import scan_video

PIXELS = {"mjpeg": "yuvj420p", "mpeg4": "yuv420p"}


@pytest.fixture(scope="module")
def ordered(tmp_path_factory):
    """24 numbered frames with B-frames, a key frame every 8."""
    path = tmp_path_factory.mktemp("ordered") / "ordered.mkv"
    return write_video(path, blocks(range(24)), bf="2", g="8", b_adapt="0")


def check(path, truth):
    assert count_frames(path) == len(truth)
    assert block_numbers(list(iter_frames(path))) == truth
    for number, right in enumerate(truth):
        assert block_numbers(read_frames(path, [number])) == [right]


def test_a_file_that_tells_its_frames_is_not_decoded(ordered):
    scan = scan_video(ordered)
    assert scan.listed and scan.seekable and scan.plain
    assert scan.keys == [0, 8, 16]
    check(ordered, list(range(24)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_stamps_in_the_order_of_decoding_are_not_believed(
    ordered, tmp_path, suffix
):
    path = tmp_path / f"shuffled.{suffix}"
    clock = iter(range(0, 960, 40))

    def stamp(packet):
        ticks = int(next(clock) / 1000 / packet.time_base)
        return ticks, ticks

    copy_packets(ordered, path, stamp=stamp)
    scan = scan_video(path)
    assert not scan.listed and not scan.plain and scan.stamps is None
    check(path, list(range(24)))
    assert reading.differs_from_version_1(path)


def test_a_listing_that_a_decoder_contradicts_is_given_up(
    ordered, tmp_path, monkeypatch
):
    path = copy_packets(ordered, tmp_path / "copy.mkv")
    scan = scan_video(path)
    false = dataclasses.replace(scan, stamps=[2 * s + 1 for s in scan.stamps])
    monkeypatch.setattr(packets, "_listed", lambda *_: false)
    packets._scan_file.cache_clear()
    assert block_numbers(list(iter_frames(path))) == list(range(24))
    assert not scan_video(path).listed
    check(path, list(range(24)))


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_a_frame_lost_from_an_avi_file_shifts_no_other(tmp_path, codec):
    path = tmp_path / "lost.avi"
    write_video(
        path, blocks(range(30)), codec=codec, g="5", pix_fmt=PIXELS[codec]
    )
    content = bytearray(path.read_bytes())
    chunks = [found.start() for found in re.finditer(b"00dc", content)]
    content[chunks[14] : chunks[15]] = bytes(chunks[15] - chunks[14])
    path.write_bytes(content)
    frames = read_frames(path)
    assert len(frames) == 29
    check(path, block_numbers(frames))


def test_recordings_that_are_joined_last_as_long_as_both(tmp_path):
    parts = [
        write_video(tmp_path / f"{n}.ts", blocks(range(n, n + 12)), g="6")
        for n in (0, 100)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(path)
    assert (info.frames, info.joins) == (24, 1)
    assert info.duration == pytest.approx(24 / 25)
    check(path, [*range(12), *range(100, 112)])
    assert block_numbers(read_frames(path, rate=25)) == [
        *range(12),
        *range(100, 112),
    ]


def test_a_stream_without_stamps_is_counted(tmp_path):
    path = write_video(tmp_path / "raw.h264", blocks(range(12)), bf="2")
    scan = scan_video(path)
    assert scan.stamps is None and not scan.seekable
    np.testing.assert_allclose(scan.times, np.arange(12) / 25)
    check(path, list(range(12)))
