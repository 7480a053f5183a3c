"""Decoding: every container at hand, damaged files, rates and sizes."""

import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import numbered_frames, numbers, write_video

from keras_twostream.data import (
    count_frames,
    iter_frames,
    probe,
    read_frames,
)
from keras_twostream.data.video.packets import Scan
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


def test_probe(video):
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
    from keras_twostream.data.video import reading

    decoded = []
    original = reading.decoded

    def counting(stream):
        for frame in original(stream):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(reading, "decoded", counting)
    read_frames(video, [22, 24])
    assert len(decoded) == 5  # 20, a key frame, to 24


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


def test_sizes(video):
    assert read_frames(video, [0], short_side=24).shape == (1, 24, 32, 3)
    assert read_frames(video, [0], resize_to=(30, 31)).shape == (1, 30, 31, 3)
    assert read_frames(video, [0], short_side=96).shape == (1, 96, 128, 3)


def test_colours_are_right(tmp_path):
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    frames[..., 0], frames[..., 2] = 200, 40
    path = write_video(tmp_path / "c.mp4", frames, qp="1")
    np.testing.assert_allclose(
        read_frames(path)[0, 16, 16], [200, 0, 40], atol=4
    )


def matrix(*values):
    return b"".join(value.to_bytes(4, "big", signed=True) for value in values)


def test_rotation_is_applied(tmp_path):
    path = write_video(tmp_path / "turned.mp4", numbered_frames(3), qp="1")
    content = path.read_bytes()
    one, last = 1 << 16, 1 << 30
    upright = matrix(one, 0, 0, 0, one, 0, 0, 0, last)
    turned = matrix(0, one, 0, -one, 0, 0, 0, 0, last)
    track = content.index(b"tkhd")
    path.write_bytes(
        content[:track] + content[track:].replace(upright, turned, 1)
    )
    info = probe(path)
    assert (info.height, info.width, info.rotation) == (64, 48, -90)
    frame = read_frames(path)[0].astype(int)
    # The bright left half is now the upper half.
    np.testing.assert_allclose(frame[:28], 20, atol=3)
    np.testing.assert_allclose(frame[36:], 0, atol=3)


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


def test_the_last_readable_frame_stands_in_for_all_behind_it(tmp_path):
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (40, 64, 64, 3), np.uint8)
    index_first = {"movflags": "faststart"}
    path = write_video(tmp_path / "v.mp4", frames, muxer=index_first, g="10")
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))
    assert probe(path).frames == 40  # all are listed, and half are there
    behind = read_frames(path, [30, 31, 32])
    assert behind.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(behind, read_frames(path, [39, 38, 30]))


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


def test_a_stream_that_starts_between_key_frames_keeps_its_clock(tmp_path):
    whole, path = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_video(whole, numbered_frames(40), g="10", bf="0", sc_threshold="0")
    with av.open(str(whole)) as source, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if number >= 15 and packet.size:
                packet.stream = stream
                cut.mux(packet)
    assert count_frames(path) == 25
    streamed = numbers(np.stack(list(iter_frames(path))))
    np.testing.assert_array_equal(streamed, [20] * 5 + [*range(20, 40)])
    for index in (3, 7, 20):
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


def test_files_that_are_not_videos(tmp_path):
    with pytest.raises(VideoError, match=r"missing\.mp4: No such file"):
        probe(tmp_path / "missing.mp4")
    with pytest.raises(VideoError, match="it is a folder"):
        probe(tmp_path)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(VideoError, match="the file is empty"):
        read_frames(empty)
    text = tmp_path / "letter.txt"
    text.write_text("Dear reader,\n" * 100)
    with pytest.raises(VideoError, match="not a video file"):
        next(iter_frames(text))


def test_sound_without_pictures(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), layout="mono"
        )
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream, only audio"):
        probe(path)


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


def test_wrong_calls(video):
    with pytest.raises(SpecError, match=r"0\.\.39 .*Received: 40\.\.40"):
        read_frames(video, [40])
    with pytest.raises(SpecError, match="at least one frame"):
        read_frames(video, [])
    with pytest.raises(SpecError, match="`rate` must be greater than 0"):
        read_frames(video, rate=0)


@pytest.mark.parametrize("name", READABLE)
def test_real_clips(shared, name):
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
def test_real_broken_files(shared, name):
    with pytest.raises(VideoError, match=UNREADABLE[name]):
        read_frames(shared / "clips" / name)
