"""Read any video file: frames as RGB arrays, at any frame rate and size.

Decoding is PyAV's alone. It is as fast as OpenCV's wheel on the same files,
and right where that wheel is silently not: AV1 gives no frame and no error
there, and a damaged file ends early without a word.

A file is *scanned* once: its packets are read, not decoded, which gives the
true number of frames and the time of each. Frame `i` of a video is the i-th
in order of presentation, also where some of a damaged file cannot be decoded:
the next readable one stands in for those. A `rate` lays a timeline of evenly
spaced moments over the video and takes, for each, the frame nearest in time.
"""

import bisect
import collections
import dataclasses
import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_twostream.data.video.packets import (
    Scan,
    decoded,
    open_video,
    scan_video,
    unreadable,
)
from keras_twostream.data.video.resizing import fit_size, resize
from keras_twostream.errors import SpecError

_per_thread = threading.local()


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        frames: Frames in the file, counted.
        fps: Frames per second, on average.
        duration: Seconds.
        height: Pixels as stored, after the rotation.
        width: Pixels as stored, after the rotation.
        codec: FFmpeg's name of the codec.
        rotation: Degrees that frames are turned anticlockwise for display.
        truncated: Whether the file promises more than it holds.
    """

    path: str
    frames: int
    fps: float
    duration: float
    height: int
    width: int
    codec: str
    rotation: int
    truncated: bool


def probe(path: str | os.PathLike) -> VideoInfo:
    """What a video file holds; reads every packet, decodes one frame.

    Args:
        path: A video file.

    Returns:
        A `VideoInfo`.

    Raises:
        VideoError: If the file is missing, empty, not a video, has no video
            stream, or no frame can be decoded.
    """
    scan = scan_video(path)
    with open_video(scan.path) as (_, stream):
        frame = next(decoded(stream), None)
        if frame is None:
            raise unreadable(scan.path)
        return VideoInfo(
            path=scan.path,
            frames=len(scan.times),
            fps=scan.fps,
            duration=scan.duration,
            height=_to_rgb(frame).shape[0],
            width=_to_rgb(frame).shape[1],
            codec=stream.codec_context.codec.canonical_name,
            rotation=int(frame.rotation),
            truncated=scan.truncated,
        )


def count_frames(path: str | os.PathLike, rate: float | None = None) -> int:
    """How many frames a video has on the timeline of `rate`.

    Args:
        path: A video file.
        rate: Frames per second, or None for the video's own frames.

    Returns:
        Number of frames, at least 1.

    Raises:
        VideoError: If the file cannot be read.
    """
    return len(scan_video(path).timeline(rate))


def read_frames(
    path: str | os.PathLike,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> np.ndarray:
    """Decodes chosen frames of a video, in the order asked for.

    Frames before the first and after the last one wanted are not decoded
    where the file allows. The next readable frame stands in for a damaged
    one, and the last readable one for those behind the end of a file that
    was cut off; `probe(path).truncated` tells.

    Args:
        path: A video file.
        indices: Frames on the timeline of `rate`, in any order, repeated or
            not; all frames when None.
        rate: Frames per second of the timeline, None for the video's own.
        short_side: Pixels of the short side, None to leave the size.
        resize_to: (height, width), instead of `short_side`.

    Returns:
        (N, H, W, 3) uint8 RGB.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If an index is outside the video.
    """
    scan = scan_video(path)
    timeline = scan.timeline(rate)
    wanted = timeline if indices is None else _pick(scan, timeline, indices)
    unique, inverse = np.unique(wanted, return_inverse=True)
    frames = _read(scan, unique, short_side, resize_to)
    return frames if np.array_equal(unique, wanted) else frames[inverse]


def iter_frames(
    path: str | os.PathLike,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> Iterator[np.ndarray]:
    """Decodes a video from start to end, holding one frame at a time.

    The next readable frame stands in for a damaged one.

    Args:
        path: A video file.
        rate: Frames per second, None for the video's own frames.
        short_side: Pixels of the short side, None to leave the size.
        resize_to: (height, width), instead of `short_side`.

    Yields:
        (H, W, 3) uint8 RGB frames, `count_frames(path, rate)` of them unless
        the file was cut off.

    Raises:
        VideoError: If the file cannot be read.
    """
    scan = scan_video(path)
    timeline = scan.timeline(rate)
    size, done = None, 0
    for position, frame in _from_start(scan, threads=0):
        reached = np.searchsorted(timeline, position, side="right")
        if reached <= done:
            continue
        image = _to_rgb(frame)
        size = size or fit_size(image.shape[:2], short_side, resize_to)
        image = resize(image, size)
        for _ in range(done, reached):
            yield image
        done = reached
    if not done:
        raise unreadable(scan.path)


# === Decoding ===


def _read(scan: Scan, wanted: np.ndarray, short_side, resize_to) -> np.ndarray:
    """The frames `wanted`, ascending and without repeats."""
    frames, size, filled = None, None, 0
    for position, frame in _from_key_frame(scan, int(wanted[0])):
        while filled < len(wanted) and wanted[filled] <= position:
            image = _to_rgb(frame)
            size = size or fit_size(image.shape[:2], short_side, resize_to)
            if frames is None:
                frames = np.empty((len(wanted), *size, 3), np.uint8)
            frames[filled] = resize(image, size)
            filled += 1
        if filled == len(wanted):
            return frames
    if filled:
        frames[filled:] = frames[filled - 1]
        return frames
    last = _last_readable(scan, short_side, resize_to)
    return np.repeat(last[None], len(wanted), axis=0)


def _last_readable(scan: Scan, short_side, resize_to) -> np.ndarray:
    """What stands in for frames that a damaged file has no more."""
    last = collections.deque(_from_start(scan), maxlen=1)
    if not last:
        raise unreadable(scan.path)
    image = _to_rgb(last[0][1])
    return resize(image, fit_size(image.shape[:2], short_side, resize_to))


def _from_key_frame(scan: Scan, first: int):
    """(position, frame) from the last key frame at or before `first`."""
    before = [key for key in scan.keys if key <= first]
    start = max(before, default=0)
    if start == 0 or scan.stamps is None:
        yield from _from_start(scan)
        return
    with open_video(scan.path) as (container, stream):
        frames = _after_seek(container, stream, scan.stamps[start])
        head = next(frames, None)
        # Some containers seek past the place asked for, or lose the clock.
        if head is not None and head.pts is not None:
            if head.pts <= scan.stamps[first]:
                yield from _placed(scan, itertools.chain([head], frames))
                return
    yield from _from_start(scan)


def _after_seek(container, stream, stamp: int) -> Iterator[av.VideoFrame]:
    try:
        container.seek(stamp, stream=stream)
    except av.FFmpegError:
        return
    yield from decoded(stream)


def _from_start(scan: Scan, threads: int = 1):
    with open_video(scan.path, threads) as (_, stream):
        yield from _placed(scan, decoded(stream))


def _placed(scan: Scan, frames: Iterable[av.VideoFrame]):
    """(position, frame): by its time where it has one, else counted."""
    position = -1
    for frame in frames:
        position += 1
        if scan.stamps is not None and frame.pts is not None:
            position = bisect.bisect_left(scan.stamps, frame.pts)
        yield position, frame


def _to_rgb(frame: av.VideoFrame) -> np.ndarray:
    # A converter kept between frames, on one thread: setting one up costs
    # twenty times what it takes to convert a small frame.
    if not hasattr(_per_thread, "reformatter"):
        _per_thread.reformatter = VideoReformatter()
    reformatted = _per_thread.reformatter.reformat(
        frame, format="rgb24", threads=1
    )
    image = reformatted.to_ndarray()
    quarter_turns = round(frame.rotation / 90)
    return np.rot90(image, quarter_turns) if quarter_turns else image


def _pick(scan: Scan, timeline: np.ndarray, indices) -> np.ndarray:
    indices = np.asarray(indices, np.int64).reshape(-1)
    if indices.size == 0:
        raise SpecError("`indices` must name at least one frame.")
    if indices.min() < 0 or indices.max() >= len(timeline):
        raise SpecError(
            f"`indices` must lie in 0..{len(timeline) - 1} for {scan.path}. "
            f"Received: {indices.min()}..{indices.max()}"
        )
    return timeline[indices]
