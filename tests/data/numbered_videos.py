"""Videos made for the tests: what each frame is can be read off it."""

from fractions import Fraction

import av
import numpy as np


def numbered_frames(count, height=48, width=64):
    """Frame i is grey of level 4 i, with its left half brighter by 20."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[...] = (4 * np.arange(count))[:, None, None, None]
    frames[:, :, : width // 2] += 20
    return frames


def numbers(frames):
    """The numbers of numbered frames."""
    width = frames.shape[2]
    right = frames[:, :, width // 2 + 4 :].mean(axis=(1, 2, 3))
    return np.rint(right / 4).astype(int)


def write_video(
    path, frames, rate=25, codec="libx264", times=None, muxer=None, **options
):
    """Writes frames; `times` in milliseconds makes the rate variable."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number if times is None else times[number]
            if times is not None:
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
