"""Opening of files: those that could do harm are refused before."""

import os

import av
import numpy as np
import pytest
from numbered_videos import block_numbers, blocks, numbered_frames, write_video

from keras_twostream.data import count_frames, iter_frames, probe, read_frames
from keras_twostream.data.video import limits, opening
from keras_twostream.errors import SpecError, VideoError


def test_files_that_are_not_videos_are_refused(tmp_path):
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


def test_a_pipe_and_a_device_are_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises(VideoError, match="a pipe, a socket or a device"):
            probe(path)


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile neighbour.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nneighbour.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\n"
    "t=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="static" mediaPresentationDuration="PT2S"><Period/></MPD>\n',
}


@pytest.mark.parametrize("suffix", ["mp4", "ts", "h264"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_under_a_videos_name_are_refused(kind, suffix, tmp_path):
    write_video(tmp_path / "neighbour.mp4", numbered_frames(4))
    write_video(tmp_path / "neighbour.ts", numbered_frames(4))
    path = tmp_path / f"list.{suffix}"
    path.write_text(PLAYLISTS[kind])
    with pytest.raises(VideoError, match=f"list.{suffix}: not a video file"):
        count_frames(path)


def test_a_file_of_sound_alone_is_refused(tmp_path):
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


def write_two(path, attached=False, size=(24, 32), count=1, codec="mjpeg"):
    """A few small pictures first, then the video."""
    with av.open(str(path), "w") as container:
        small = container.add_stream(codec, rate=25)
        small.height, small.width = size
        small.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if attached:
            small.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "yuv420p"
        for _ in range(count):
            picture = av.VideoFrame(*size[::-1], small.pix_fmt)
            container.mux(small.encode(picture))
        container.mux(small.encode())
        for image in blocks(range(9)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("attached", [False, True])
def test_the_best_stream_is_read_and_no_thumbnail(attached, tmp_path):
    path = tmp_path / "two.mp4"
    write_two(path, attached)
    info = probe(path)
    assert (info.frames, info.height, info.width) == (9, 48, 80)
    assert block_numbers(read_frames(path)) == list(range(9))
    with opening.open_video(str(path)) as film:
        assert film.first is attached  # thumbnails are not counted


@pytest.mark.parametrize("suffix", ["mkv", "avi", "ts"])
@pytest.mark.parametrize(
    "small",
    [
        {"codec": "libx264", "count": 9},
        {"codec": "mjpeg", "count": 9},
        {"codec": "mjpeg", "size": (192, 320)},
    ],
)
def test_the_largest_stream_that_moves_is_read(small, suffix, tmp_path):
    path = tmp_path / f"two.{suffix}"
    write_two(path, **small)
    assert block_numbers(read_frames(path)) == list(range(9))


def test_an_unknown_codec_is_named(tmp_path):
    path = write_video(tmp_path / "v.mp4", numbered_frames(3))
    content = path.read_bytes().replace(b"avcC", b"zzzC")
    path.write_bytes(content.replace(b"avc1", b"zzz1"))
    with pytest.raises(VideoError, match=r"v\.mp4: its codec zzz1 is not in"):
        probe(path)


def test_frames_above_the_limit_are_refused_unless_it_is_raised(
    tmp_path, monkeypatch
):
    path = write_video(tmp_path / "v.mp4", numbered_frames(3, 48, 64))
    monkeypatch.setenv(limits.PIXELS, str(48 * 64 - 1))
    with pytest.raises(VideoError, match="64x48 = 3,072 pixels, more than 3,0"):
        read_frames(path)
    monkeypatch.setenv(limits.PIXELS, str(48 * 64))
    assert len(read_frames(path)) == 3


def test_a_bomb_takes_no_memory(tmp_path):
    bomb = tmp_path / "bomb.gif"
    write_video(bomb, numbered_frames(2), codec="gif", pix_fmt="rgb8")
    content = bytearray(bomb.read_bytes())
    content[6:10] = (60000).to_bytes(2, "little") * 2  # the screen's size
    bomb.write_bytes(content)
    with pytest.raises(VideoError, match="more than 50,000,000 pixels"):
        read_frames(bomb)


def test_a_timeline_outgrows_its_frames_only_so_far(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", numbered_frames(5))
    assert count_frames(path, 25_000) == 5_000
    with pytest.raises(VideoError, match="its 5 frames would be repeated to"):
        count_frames(path, 25_100)
    monkeypatch.setenv(limits.STRETCH, "2000")
    assert count_frames(path, 25_100) == 5_020


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_limit_is_a_number(value, tmp_path, monkeypatch):
    monkeypatch.setenv(limits.STRETCH, value)
    with pytest.raises(SpecError, match=f"{limits.STRETCH} must be a number"):
        limits.limit(limits.STRETCH)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_transport_stream_too_short_to_be_known(frames, tmp_path):
    path = write_video(
        tmp_path / "short.ts", numbered_frames(frames), rate=10, g="1"
    )
    assert count_frames(path) == frames
