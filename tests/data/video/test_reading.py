"""Decoding: every container at hand, damaged files, rates and sizes."""

import shutil
import struct
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import (
    block_numbers,
    copy_packets,
    numbered_frames,
    numbers,
    write_video,
)

from keras_twostream.data import (
    count_frames,
    iter_frames,
    probe,
    read_frames,
)
from keras_twostream.data.video import limits
from keras_twostream.data.video.opening import Film
from keras_twostream.data.video.packets import Scan, scan_video
from keras_twostream.data.video.reading import frame_seconds
from keras_twostream.errors import SpecError, VideoError

UNREADABLE = {
    "derived_empty.mp4": "the file is empty",
    "derived_part_0_truncated.mp4": "header is missing or damaged",
    "derived_text.avi": "not a video file",
}
# Frames, (height, width) as displayed, codec.
READABLE = {
    "av1_video.mkv": (125, (360, 640), "av1"),
    "derived_baseball_mjpeg.avi": (60, (240, 320), "mjpeg"),
    "derived_baseball_truncated.avi": (61, (240, 320), "mpeg4"),
    "derived_baseball_vfr.mp4": (77, (240, 320), "h264"),
    "derived_baseball_vp9.webm": (107, (240, 320), "vp9"),
    "derived_odd319x237_444.mp4": (60, (237, 319), "h264"),
    "h264_10bits.mp4": (30, (200, 200), "h264"),
    "tmbo_video2_vp8.webm": (120, (240, 320), "vp8"),
    "v_CricketShot_g04_c01_rgb.gif": (79, (224, 224), "gif"),
    "video_90.mov": (3, (568, 320), "h264"),
}


def test_probe_states_size_length_and_codec(video):
    info = probe(video)
    assert (info.frames, info.fps, info.duration) == (40, 25.0, 1.6)
    assert (info.height, info.width, info.codec) == (48, 64, "h264")
    assert (info.rotation, info.truncated) == (0, False)
    assert info.path == str(video)


def test_frames_come_in_the_order_asked_for(video):
    assert numbers(read_frames(video)).tolist() == list(range(40))
    for chosen in ([39, 0, 17, 17, 31], [20, 5]):
        assert numbers(read_frames(video, chosen)).tolist() == chosen


def test_seeking_gives_what_decoding_from_the_start_gives(video):
    every = read_frames(video)
    for index in (9, 10, 11, 25, 39):
        np.testing.assert_array_equal(
            read_frames(video, [index])[0], every[index]
        )


def test_only_what_is_needed_is_decoded(video, monkeypatch):
    decoded = []
    original = Film.frames

    def counting(film):
        for frame in original(film):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(Film, "frames", counting)
    read_frames(video, [22, 24])
    assert len(decoded) == 5  # 20, a key frame, to 24


def test_a_seek_that_fails_costs_no_trust_in_the_listing(video, monkeypatch):
    monkeypatch.setattr(Film, "seek", lambda *_: False)
    assert numbers(read_frames(video, [39])).tolist() == [39]
    assert scan_video(video).listed


def test_rate_takes_the_nearest_frames(video):
    assert count_frames(video, 25) == 40
    assert count_frames(video, 5) == 8
    at_five = numbers(read_frames(video, rate=5)).tolist()
    assert at_five == list(range(0, 40, 5))
    doubled = numbers(read_frames(video, rate=50)).tolist()
    assert len(doubled) == 80
    np.testing.assert_allclose(doubled, np.arange(80) / 2, atol=0.6)


def test_variable_rate_follows_the_clock(tmp_path):
    times = [0, 40, 80, 120, 160, 560, 600, 640]
    path = write_video(
        tmp_path / "vfr.mkv", numbered_frames(8), times=times, qp="1"
    )
    shown = numbers(read_frames(path, rate=25)).tolist()
    # From 160 to 560 ms frame 4, then frame 5, whichever is nearer.
    assert shown[:5] == [0, 1, 2, 3, 4]
    assert shown[5:14] == [*[4] * 4, shown[9], *[5] * 4]
    assert shown[14:17] == [5, 6, 7]
    streamed = list(iter_frames(path, rate=25))
    assert numbers(np.stack(streamed)).tolist() == shown
    own = frame_seconds(path)
    np.testing.assert_allclose(own[:-1], np.array(times) / 1000)
    assert own[-1] > 0.64
    np.testing.assert_allclose(frame_seconds(path, 25), np.arange(19) / 25)


@given(
    st.lists(st.floats(0.001, 2), min_size=0, max_size=50),
    st.floats(0.5, 120),
)
def test_a_timeline_is_the_nearest_frame_at_each_moment(gaps, rate):
    times = np.cumsum([0.0, *gaps])
    fps = len(gaps) / times[-1] if gaps else 25.0
    scan = Scan("", times, None, [0], fps, truncated=False)
    timeline = scan.timeline(rate)
    assert len(timeline) == max(1, round(scan.duration * rate))
    moments = np.arange(len(timeline)) / rate
    nearest = np.abs(times[None] - moments[:, None]).min(axis=1)
    np.testing.assert_allclose(
        np.abs(times[timeline] - moments), nearest, atol=1e-9
    )


@pytest.mark.parametrize("rate", [None, 10, 25, 60])
def test_streaming_equals_reading(video, rate):
    streamed = np.stack(list(iter_frames(video, rate=rate, short_side=24)))
    np.testing.assert_array_equal(
        streamed, read_frames(video, rate=rate, short_side=24)
    )


def test_frames_are_resized_and_cut_as_asked(video):
    assert read_frames(video, [0], short_side=24).shape == (1, 24, 32, 3)
    assert read_frames(video, [0], resize_to=(30, 31)).shape == (1, 30, 31, 3)
    assert read_frames(video, [0], short_side=96).shape == (1, 96, 128, 3)
    small = read_frames(video, [0], short_side=24)
    middle = read_frames(video, [0], short_side=24, cut_to=(20, 20))
    np.testing.assert_array_equal(middle, small[:, 2:22, 6:26])


def test_frames_are_resized_by_the_filter_asked_for(video):
    (whole,) = read_frames(video, [0])
    for name, how in (("area", cv2.INTER_AREA), ("bilinear", cv2.INTER_LINEAR)):
        (seen,) = read_frames(video, [0], short_side=24, resize_filter=name)
        wanted = cv2.resize(whole, (32, 24), interpolation=how)
        np.testing.assert_array_equal(seen, wanted)


def test_red_stays_red(tmp_path):
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    frames[..., 0], frames[..., 2] = 200, 40
    path = write_video(tmp_path / "c.mp4", frames, qp="1")
    np.testing.assert_allclose(
        read_frames(path)[0, 16, 16], [200, 0, 40], atol=4
    )


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_truncated_file_gives_what_can_be_read(tmp_path, suffix):
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (75, 64, 64, 3), np.uint8)
    path = write_video(
        tmp_path / f"cut.{suffix}",
        frames,
        muxer={"movflags": "faststart"} if suffix == "mp4" else None,
        g="5",
        codec="mpeg4" if suffix == "avi" else "libx264",
    )
    whole = read_frames(path)
    assert len(whole) == 75 and not probe(path).truncated
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    info = probe(path)
    assert info.truncated and 20 < info.frames < 50
    readable = read_frames(path)
    assert len(readable) == info.frames
    np.testing.assert_array_equal(readable[:20], whole[:20])
    assert 20 < len(list(iter_frames(path))) <= info.frames


@pytest.mark.parametrize("start", [0, 2, 36000])
@pytest.mark.parametrize("suffix", ["mkv", "wmv", "nut", "ts", "flv"])
def test_a_clock_may_start_at_any_time(tmp_path, suffix, start):
    codec = {"wmv": "wmv2", "flv": "flv"}
    moments = 1000 * start + 40 * np.arange(20)
    frames = numbered_frames(20)
    path = write_video(
        tmp_path / f"a.{suffix}", frames, codec=codec.get(suffix, "mpeg4"),
        times=moments.tolist(), qmin="1", qmax="3",
    )  # fmt: skip
    info = probe(path)
    assert (info.frames, info.truncated) == (20, False)
    np.testing.assert_array_equal(numbers(read_frames(path)), np.arange(20))


@pytest.mark.parametrize("start", [0, 10, 36000])
@pytest.mark.parametrize("states", ["clock", "length"])
def test_a_matroska_file_is_cut_off_wherever_its_clock_starts(
    tmp_path, start, states
):
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (100, 32, 32, 3), np.uint8)
    moments = (1000 * start + 40 * np.arange(100)).tolist()
    path = write_video(tmp_path / "a.mkv", frames, times=moments, g="5")
    content = path.read_bytes()
    clock = struct.pack(">d", 1000 * (start + 4.0))
    assert content.count(b"\x44\x89\x88" + clock) == 1  # as FFmpeg has it
    if states == "length":  # as mkvmerge has it
        content = content.replace(clock, struct.pack(">d", 4000.0))
    path.write_bytes(content)
    assert not probe(path).truncated
    path.write_bytes(content[: len(content) * 6 // 10])
    info = probe(path)
    assert info.truncated and 40 < info.frames < 75


@pytest.fixture
def half_there(tmp_path):
    """A video whose header lists 40 frames; the last 20 are zeroed."""
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (40, 64, 64, 3), np.uint8)
    index_first = {"movflags": "faststart"}
    path = write_video(tmp_path / "v.mp4", frames, muxer=index_first, g="10")
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))
    return path


def test_half_a_video_is_not_taken_for_a_whole_one(half_there):
    assert probe(half_there).frames == 40  # all are listed
    for read in (read_frames, lambda path: list(iter_frames(path))):
        with pytest.raises(VideoError, match="of its 40 frames, one behind"):
            read(half_there)


def test_the_last_readable_frame_stands_in_where_that_is_wanted(
    half_there, monkeypatch
):
    monkeypatch.setenv(limits.GAP, "60")
    behind = read_frames(half_there, [30, 31, 32])
    assert behind.shape == (3, 64, 64, 3)
    again = read_frames(half_there, [39, 38, 30])
    np.testing.assert_array_equal(behind, again)
    assert 15 < len(list(iter_frames(half_there))) < 25


@pytest.mark.parametrize("missing, frames", [(2, 3), (25, 100), (2, 2)])
def test_small_gaps_are_closed(missing, frames):
    limits.check_gap("v.mp4", missing, frames)
    with pytest.raises(VideoError, match="v.mp4: .* of its"):
        limits.check_gap("v.mp4", missing + 1, frames)


@pytest.fixture
def damaged(tmp_path):
    """Frames 20 to 29 of 50 are zeroed; each ten start with a key frame."""
    path = tmp_path / "damaged.mp4"
    write_video(path, numbered_frames(50), g="10", bf="0", sc_threshold="0")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        for packet in packets[20:30]:
            end = packet.pos + packet.size
            content[packet.pos : end] = bytes(packet.size)
    path.write_bytes(content)
    return path


def test_damage_shifts_no_frame_behind_it(damaged):
    assert probe(damaged).frames == 50
    every = numbers(read_frames(damaged))
    np.testing.assert_array_equal(every[:20], np.arange(20))
    np.testing.assert_array_equal(every[30:], np.arange(30, 50))
    assert set(every[20:30]) <= {*range(19, 31)}  # what stands in
    streamed = np.stack(list(iter_frames(damaged)))
    np.testing.assert_array_equal(numbers(streamed), every)
    for chosen in ([35], [5, 45], [19, 30]):
        assert numbers(read_frames(damaged, chosen)).tolist() == chosen


def test_frames_before_the_first_key_frame_are_not_counted(tmp_path):
    whole, path = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_video(whole, numbered_frames(40), g="10", bf="0", sc_threshold="0")
    copy_packets(whole, path, lambda number: number >= 15)
    assert count_frames(path) == probe(path).frames == 20
    streamed = numbers(np.stack(list(iter_frames(path))))
    np.testing.assert_array_equal(streamed, range(20, 40))
    for index in (3, 7, 19):
        assert numbers(read_frames(path, [index])) == streamed[index]


def test_a_file_that_changed_is_scanned_again(tmp_path):
    path = write_video(tmp_path / "v.mp4", numbered_frames(8))
    assert count_frames(path) == 8
    write_video(path, numbered_frames(12))
    assert count_frames(path) == 12


def test_names_that_a_shell_or_ffmpeg_reads_in_another_way(
    video, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, "clip:1.mp4")
    assert probe("clip:1.mp4").frames == 40
    assert len(read_frames("~/clip:1.mp4", [3])) == 1


def test_reading_needs_neither_keras_nor_tensorflow():
    program = (
        "import sys; from keras_twostream import data; "
        "data.read_frames, data.read_annotations, data.clips, data.views; "
        "print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "set()"


def test_wrong_arguments_are_refused(video):
    with pytest.raises(SpecError, match=r"0\.\.39 .*Received: 40\.\.40"):
        read_frames(video, [40])
    with pytest.raises(SpecError, match="at least one frame"):
        read_frames(video, [])
    for rate in (0, -1, float("inf"), float("nan")):
        with pytest.raises(SpecError, match="`rate` must be greater than 0"):
            read_frames(video, rate=rate)


@pytest.mark.parametrize("name", READABLE)
def test_real_clips_have_the_stated_facts(shared, name):
    path = shared / "clips" / name
    frames, size, codec = READABLE[name]
    info = probe(path)
    assert (info.frames, info.codec) == (frames, codec)
    assert (info.height, info.width) == size
    assert info.truncated == ("truncated" in name)
    ends = read_frames(path, [0, frames - 1], short_side=64)
    assert ends.shape[0] == 2 and min(ends.shape[1:3]) == 64
    assert ends.std() > 10
    count = count_frames(path, 10)
    assert count == max(1, round(info.duration * 10))


@pytest.mark.parametrize("name", UNREADABLE)
def test_real_broken_files_are_refused(shared, name):
    with pytest.raises(VideoError, match=UNREADABLE[name]):
        read_frames(shared / "clips" / name)


# Frames, seconds, and (height, width) of the files whose frames carry their
# number; the second recording of the joined ones begins at 100.
NUMBERED = {
    "x264_b.avi": range(50),
    "plain.mp4": range(30),
    "raw.h264": range(50),
    "two.mkv": range(50),
    "a.mpg": range(50),
    "trim_end.mp4": range(10),
    "cat_same_start.ts": [*range(50), *range(100, 150)],
    "cat_offset.ts": [*range(50), *range(100, 150)],
}


@pytest.mark.parametrize("name", NUMBERED)
def test_files_that_were_read_wrongly(faults, name):
    path, truth = faults / name, list(NUMBERED[name])
    info = probe(path)
    assert (info.frames, info.fps) == (len(truth), 25.0)
    assert (info.height, info.width) == (120, 160)
    assert info.duration == pytest.approx(len(truth) / 25)
    assert not info.truncated
    assert block_numbers(list(iter_frames(path))) == truth
    assert block_numbers(read_frames(path, rate=25)) == truth
    for index in range(len(truth)):
        assert block_numbers(read_frames(path, [index])) == [truth[index]]


@pytest.mark.parametrize("name", ["gap_60s.mkv", "gap_1h.mkv"])
def test_holes_in_a_recording_close_up(faults, name):
    info = probe(faults / name)
    assert (info.frames, info.holes) == (20, 1)
    assert info.duration == pytest.approx(0.8)
    assert count_frames(faults / name, 25) == 20


def decode(path):
    """The frames of a file, by a loop of PyAV's own."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        return [f.to_ndarray(format="rgb24") for f in container.decode(stream)]


def test_every_real_clip_is_what_decoding_in_order_gives(shared):
    clips = sorted((shared / "clips").iterdir())
    whole = [path for path in clips if path.name not in UNREADABLE]
    assert len(whole) > 10
    for path in whole:
        truth = decode(path)
        assert count_frames(path) == len(truth), path
        size = truth[0].shape[:2]
        turned = probe(path).rotation % 180 != 0
        size = size[::-1] if turned else size
        frames = iter_frames(path, resize_to=size)
        for number, (frame, right) in enumerate(
            zip(frames, truth, strict=True)
        ):
            right = np.rot90(right, -1) if turned else right
            error = np.abs(frame.astype(int) - right).mean()
            # Squeezed pixels are made square, and squeezed again.
            assert error == 0 or (probe(path).pixel_aspect != 1), (path, number)


def test_no_frame_of_ucf101_is_replaced_by_its_neighbour(shared):
    path = shared / "clips" / "v_ApplyEyeMakeup_g01_c01.avi"
    frames = read_frames(path)
    assert len(frames) == 164
    changes = np.abs(np.diff(frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert changes.min() > 0
    for index in (0, 3, 4, 5, 77, 163):
        np.testing.assert_array_equal(
            read_frames(path, [index])[0], frames[index]
        )
