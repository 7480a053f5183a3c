"""However a frame is reached, it is the frame of that number.

Videos are made in many containers and codecs, and each frame carries its
number. Reading in any order, iterating, counting and probing must agree with
the numbers that went in.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered_videos import block_numbers, blocks

from keras_twostream.data import count_frames, iter_frames, probe, read_frames

RATES = [Fraction(10), Fraction(24), Fraction(25), Fraction(30000, 1001)]
# Encoders that reorder frames, and some that do not, by container.
CODECS = {
    "mp4": ["libx264", "libx265", "mpeg4", "mjpeg", "libvpx-vp9"],
    "mov": ["libx264", "mpeg4", "prores"],
    "mkv": ["libx264", "libx265", "mpeg4", "mpeg2video", "ffv1"],
    "webm": ["libvpx", "libvpx-vp9"],
    "avi": ["libx264", "mpeg4", "mjpeg", "ffv1"],
    "ts": ["libx264", "libx265", "mpeg2video"],
    "mpg": ["mpeg2video"],
    "flv": ["libx264"],
    "h264": ["libx264"],
    "hevc": ["libx265"],
    "gif": ["gif"],
    "apng": ["apng"],
}
PIXELS = {
    "gif": "rgb8",
    "apng": "rgb24",
    "mjpeg": "yuvj420p",
    "prores": "yuv422p10le",
}
QUIET = {"libx265": {"x265-params": "log-level=none:pools=1"}}
FAST = {"libx264": "ultrafast", "libx265": "ultrafast"}


@st.composite
def recipes(draw):
    """Draw the settings that a video is encoded with."""
    container = draw(st.sampled_from(sorted(CODECS)))
    return {
        "container": container,
        "codec": draw(st.sampled_from(CODECS[container])),
        "rate": draw(st.sampled_from(RATES)),
        "bframes": draw(st.integers(0, 3)),
        "gop": draw(st.integers(1, 12)),
        "open_gop": draw(st.booleans()),
        "offset": draw(st.sampled_from([0, 0, 3, 1000])),
        "frames": draw(st.sampled_from([1, 2, 3, 9, 30])),
    }


def encoder(container, recipe):
    codec = recipe["codec"]
    options = {"g": str(recipe["gop"]), **QUIET.get(codec, {})}
    if codec in FAST:
        options["preset"] = FAST[codec]
    if codec in ("libx264", "libx265", "mpeg4", "mpeg2video"):
        options["bf"] = str(recipe["bframes"])
        options["sc_threshold"] = "0"
    if codec == "libx264" and recipe["open_gop"]:
        options["x264-params"] = "open-gop=1"
    if codec == "libvpx":
        options["auto-alt-ref"] = "1"
    rate = recipe["rate"]
    if codec == "mpeg2video":  # knows the rates of television only
        rate = max(rate, Fraction(24))
    stream = container.add_stream(codec, rate=rate, options=options)
    stream.height, stream.width = 48, 80
    stream.pix_fmt = PIXELS.get(codec, "yuv420p")
    stream.codec_context.time_base = 1 / rate
    stream.codec_context.bit_rate = 2_000_000
    return stream


def make(path, recipe):
    """Write the video of a recipe."""
    with av.open(str(path), "w") as container:
        stream = encoder(container, recipe)
        for number, image in enumerate(blocks(range(recipe["frames"]))):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number + recipe["offset"]
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def check(recipe, seed):
    """Make a video, and read it in every way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"video.{recipe['container']}"
        make(path, recipe)
        count = recipe["frames"]
        truth = list(range(count))
        assert count_frames(path) == probe(path).frames == count
        assert block_numbers(list(iter_frames(path))) == truth
        assert block_numbers(read_frames(path)) == truth
        picks = np.random.default_rng(seed).integers(0, count, 5)
        for pick in picks.tolist():
            assert block_numbers(read_frames(path, [pick])) == [pick]
        assert block_numbers(read_frames(path, picks)) == picks.tolist()
        rate = probe(path).fps
        at_rate = block_numbers(read_frames(path, rate=rate))
        assert at_rate == block_numbers(list(iter_frames(path, rate=rate)))
        assert len(at_rate) == count and set(at_rate) <= set(truth)


@pytest.mark.parametrize("container", sorted(CODECS))
def test_every_container_with_every_codec(container):
    for number, codec in enumerate(CODECS[container]):
        recipe = {
            "container": container,
            "codec": codec,
            "rate": Fraction(25),
            "bframes": 2,
            "gop": 7,
            "open_gop": bool(number % 2),
            "offset": 3,
            "frames": 24,
        }
        check(recipe, seed=number)


@settings(max_examples=12)
@given(recipes(), st.integers(0, 99))
def test_a_frame_is_the_frame_of_its_number(recipe, seed):
    check(recipe, seed)


@pytest.mark.full
@settings(max_examples=400)
@given(recipes(), st.integers(0, 99))
def test_a_frame_is_the_frame_of_its_number_in_many_videos(recipe, seed):
    check(recipe, seed)
