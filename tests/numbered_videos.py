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
    path,
    frames,
    rate=25,
    codec="libx264",
    times=None,
    muxer=None,
    pix_fmt="yuv420p",
    **options,
):
    """Write frames; `times` in milliseconds make the rate variable."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
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


def copy_packets(source, target, keep=lambda number: True, stamp=None):
    """Copies the packets of a video that `keep` says yes to; `stamp` gives
    each another (pts, dts)."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if keep(number) and packet.size:
                if stamp is not None:
                    packet.pts, packet.dts = stamp(packet)
                packet.stream = stream
                copy.mux(packet)
    return target


def blocks(numbers, height=48, width=80):
    """Frames that carry their number in ten blocks, white for a bit that is
    set, above a grey field: read off through any codec, and turned."""
    numbers = np.asarray(numbers)
    bits = numbers[:, None] >> np.arange(10) & 1
    frames = np.full((len(numbers), height, width, 3), 128, np.uint8)
    top = np.repeat(bits * 235, width // 10, axis=1).astype(np.uint8)
    frames[:, : height // 4, : width // 10 * 10] = top[:, None, :, None]
    return frames


def block_numbers(frames):
    """The numbers that frames carry in blocks."""
    height, width = frames[0].shape[:2]
    columns = (np.arange(10) * width / 10 + width / 20).astype(int)
    rows = [frame[height // 8, columns].mean(axis=-1) for frame in frames]
    return [int(((row > 128) << np.arange(10)).sum()) for row in rows]
