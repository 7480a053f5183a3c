"""Read any video file: frames as RGB arrays, at any frame rate and size.

Decoding is PyAV's alone. It is as fast as OpenCV's wheel on the same files,
and right where that wheel is silently not: AV1 gives no frame and no error
there, and a damaged file ends early without a word.

A file is *scanned* once: its packets are read, not decoded, which gives the
true number of frames and the time of each. Frame `i` of a video is the i-th
in order of presentation. A `rate` lays a timeline of evenly spaced moments
over the video and takes, for each, the frame nearest in time.
"""

import bisect
import collections
import contextlib
import dataclasses
import functools
import os
import threading
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from keras_twostream.data._frames import fit_size, resize
from keras_twostream.errors import SpecError, VideoError

MISSING_SHARE = 0.02  # containers miscount by a frame or two
_NO_VIDEO_FORMATS = ("tty",)  # FFmpeg "plays" text files as a terminal

_per_thread = threading.local()


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        frames: Frames in the file, counted.
        fps: Frames per second, on average.
        duration: Seconds.
        height: Pixels, as displayed.
        width: Pixels, as displayed.
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
    with _open(scan.path) as (_, stream):
        frame = next(_decoded(stream), None)
        if frame is None:
            raise _unreadable(scan.path)
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
    where the file allows. Where a damaged file ends before a frame, the last
    readable one stands in for it; `probe(path).truncated` tells.

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
    if len(frames) == len(inverse):
        return frames
    return frames[inverse]


def iter_frames(
    path: str | os.PathLike,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> Iterator[np.ndarray]:
    """Decodes a video from start to end, holding one frame at a time.

    Args:
        path: A video file.
        rate: Frames per second, None for the video's own frames.
        short_side: Pixels of the short side, None to leave the size.
        resize_to: (height, width), instead of `short_side`.

    Yields:
        (H, W, 3) uint8 RGB frames, `count_frames(path, rate)` of them unless
        the file is damaged.

    Raises:
        VideoError: If the file cannot be read.
    """
    scan = scan_video(path)
    repeats = np.bincount(scan.timeline(rate), minlength=len(scan.times))
    size, last = None, None
    with _open(scan.path, threads=0) as (_, stream):
        for frame, times in zip(_decoded(stream), repeats, strict=False):
            if not times:
                continue
            image = _to_rgb(frame)
            size = size or fit_size(image.shape[:2], short_side, resize_to)
            last = resize(image, size)
            for _ in range(times):
                yield last
    if last is None:
        raise _unreadable(scan.path)


# === The scan ===


@dataclasses.dataclass(frozen=True)
class Scan:
    """The packets of a video: when each frame is shown, where decoding can
    start. `stamps` are the container's own times, or None where it has none
    and only decoding from the start tells frames apart."""

    path: str
    times: np.ndarray  # (frames,) seconds since the first, ascending
    stamps: list[int] | None
    keys: list[int]  # frames that decoding can start from
    fps: float
    truncated: bool

    @property
    def duration(self) -> float:
        """Seconds that the video lasts."""
        return len(self.times) / self.fps

    def timeline(self, rate: float | None) -> np.ndarray:
        """The frame nearest in time to each moment k / rate, (N,) ints."""
        frames = len(self.times)
        if rate is None:
            return np.arange(frames)
        if not rate > 0:
            raise SpecError(
                f"`rate` must be greater than 0. Received: rate={rate!r}"
            )
        moments = np.arange(max(1, round(self.duration * rate))) / rate
        middles = (self.times[1:] + self.times[:-1]) / 2
        return np.searchsorted(middles, moments, side="left")


def scan_video(path: str | os.PathLike) -> Scan:
    """The scan of a file, kept while the file stays as it is."""
    status = check_file(path)
    return _scan_file(os.fspath(path), status.st_size, status.st_mtime_ns)


def check_file(path: str | os.PathLike) -> os.stat_result:
    """The status of a file, without a look inside.

    Raises:
        VideoError: If the file is missing or empty.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise VideoError(
            f"Cannot read {path}: {error.strerror or error}. Check the path."
        ) from error
    if os.path.isdir(path):
        raise VideoError(f"Cannot read {path}: it is a folder, not a file.")
    if status.st_size == 0:
        raise VideoError(
            f"Cannot read {path}: the file is empty. Copy or download it again."
        )
    return status


@functools.lru_cache(maxsize=16384)
def _scan_file(path: str, size: int, modified: int) -> Scan:
    del size, modified  # they only tell the cache that the file changed
    with _open(path) as (container, stream):
        packets, ended_well = _packets(container, stream)
        if not packets:
            raise _unreadable(path)
        stamps = sorted(packet.stamp for packet in packets if packet.shown)
        times = _seconds(stamps, stream, len(packets))
        declared = stream.frames
        complete = ended_well and len(packets) >= declared - max(
            1, MISSING_SHARE * declared
        )
        return Scan(
            path=path,
            times=times,
            stamps=stamps if all(packet.exact for packet in packets) else None,
            keys=_key_frames(packets, stamps),
            fps=_average_rate(times, stream),
            truncated=not complete,
        )


@dataclasses.dataclass(frozen=True)
class _Packet:
    stamp: int
    exact: bool  # the container says when it is shown, not only its order
    key: bool
    shown: bool


def _packets(container, stream) -> tuple[list[_Packet], bool]:
    """The video's packets, and whether the file reaches its stated end."""
    packets, end = [], 0.0
    try:
        for packet in container.demux():
            if packet.size == 0:
                continue
            end = max(end, _end_of(packet))
            if packet.stream_index == stream.index:
                packets.append(_describe(packet, len(packets)))
    except av.FFmpegError:
        return packets, False
    if container.duration is None:
        return packets, True
    stated = container.duration / av.time_base
    start = (container.start_time or 0) / av.time_base
    return packets, end - start >= stated - max(1.0, 0.05 * stated)


def _describe(packet, position: int) -> _Packet:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return _Packet(
        stamp=position if stamp is None else stamp,
        exact=packet.pts is not None,
        key=packet.is_keyframe,
        shown=not packet.is_discard,
    )


def _end_of(packet) -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None:
        return float("inf")  # no clock in the file: nothing to compare
    return float((stamp + (packet.duration or 0)) * packet.time_base)


def _seconds(stamps: list[int], stream, packets: int) -> np.ndarray:
    times = np.asarray(stamps, np.float64) * float(stream.time_base)
    if len(stamps) > 1 and times[-1] > times[0]:
        return times - times[0]
    rate = float(stream.average_rate or 25)
    return np.arange(max(len(stamps), 1)) / rate


def _average_rate(times: np.ndarray, stream) -> float:
    """Frames per second: the stated rate where the times bear it out."""
    stated = float(stream.average_rate or stream.guessed_rate or 0)
    if len(times) < 2:
        return stated or 25.0
    measured = (len(times) - 1) / (times[-1] - times[0])
    close = abs(stated - measured) < 0.01 * measured
    return stated if close else float(measured)


def _key_frames(packets: list[_Packet], stamps: list[int]) -> list[int]:
    return [
        bisect.bisect_left(stamps, packet.stamp)
        for packet in packets
        if packet.key and packet.shown
    ]


# === Decoding ===


@contextlib.contextmanager
def _open(path: str, threads: int = 1):
    """The container and its video stream; `threads` 0 takes what helps."""
    try:
        container = av.open(path)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(
            f"Cannot read {path}: not a video file, or its header is "
            f"missing or damaged ({_reason(error)}). Try to play it, or "
            "download it again."
        ) from error
    with container:
        stream = _video_stream(container, path)
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        yield container, stream


def _video_stream(container, path: str):
    if container.format.name in _NO_VIDEO_FORMATS:
        raise VideoError(f"Cannot read {path}: not a video file but text.")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise VideoError(
        f"Cannot read {path}: it has no video stream, only "
        f"{', '.join(kinds) or 'nothing'}."
    )


def _decoded(stream) -> Iterator[av.VideoFrame]:
    """Frames in order of presentation; damaged packets are passed over."""
    packets = stream.container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        with contextlib.suppress(av.FFmpegError):
            yield from packet.decode()


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
    return _stand_in(scan, frames, filled, short_side, resize_to)


def _stand_in(scan, frames, filled, short_side, resize_to) -> np.ndarray:
    """Repeats the last readable frame where the file ended too early."""
    if filled:
        frames[filled:] = frames[filled - 1]
        return frames
    last = collections.deque(_from_start(scan), maxlen=1)
    if not last:
        raise _unreadable(scan.path)
    image = _to_rgb(last[0][1])
    return resize(image, fit_size(image.shape[:2], short_side, resize_to))[None]


def _from_key_frame(scan: Scan, first: int):
    """(position, frame) from the last key frame at or before `first`."""
    before = [key for key in scan.keys if key <= first]
    start = max(before, default=0)
    if start == 0 or scan.stamps is None:
        yield from _from_start(scan)
        return
    with _open(scan.path) as (container, stream):
        frames = _after_seek(container, stream, scan.stamps[start])
        head = next(frames, None)
        # Some containers seek past the place asked for, or lose the clock.
        if head is not None and head.pts is not None:
            if head.pts <= scan.stamps[first]:
                yield bisect.bisect_left(scan.stamps, head.pts), head
                for frame in frames:
                    yield bisect.bisect_left(scan.stamps, frame.pts), frame
                return
    yield from _from_start(scan)


def _after_seek(container, stream, stamp: int) -> Iterator[av.VideoFrame]:
    try:
        container.seek(stamp, stream=stream)
    except av.FFmpegError:
        return
    yield from _decoded(stream)


def _from_start(scan: Scan):
    with _open(scan.path) as (_, stream):
        yield from enumerate(_decoded(stream))


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


def _unreadable(path: str) -> VideoError:
    return VideoError(
        f"Cannot read {path}: no frame could be decoded. The file is damaged "
        "or in a codec this FFmpeg build lacks; convert it to H.264."
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
