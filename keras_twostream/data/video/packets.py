"""What a video file's packets say, without decoding them.

A scan gives the true number of frames, the time of each, and the frames that
decoding can start from. Headers are not trusted: they miscount damaged files.
"""

import bisect
import contextlib
import dataclasses
import functools
import os
import stat
from collections.abc import Iterator

import av
import numpy as np
from av.stream import Disposition

from keras_twostream.errors import SpecError, VideoError

MISSING_SHARE = 0.02  # containers miscount by a frame or two
_NO_VIDEO_FORMATS = ("tty",)  # FFmpeg "plays" text files as a terminal


@dataclasses.dataclass(frozen=True)
class Scan:
    """The packets of a video: when each frame is shown, where decoding can
    start. `stamps` are the container's own times, or None where it has none,
    or two frames of one time, and only counting tells frames apart."""

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
    path = os.path.expanduser(path)
    status = check_file(path)
    return _scan_file(path, status.st_size, status.st_mtime_ns)


def check_file(path: str | os.PathLike) -> os.stat_result:
    """The status of a file, without a look inside.

    Raises:
        VideoError: If the file is missing or empty.
    """
    try:
        status = os.stat(os.path.expanduser(path))
    except OSError as error:
        raise VideoError(
            f"Cannot read {path}: {error.strerror or error}. Check the path."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoError(f"Cannot read {path}: it is a folder, not a file.")
    if status.st_size == 0:
        raise VideoError(
            f"Cannot read {path}: the file is empty. Copy or download it again."
        )
    return status


@functools.lru_cache(maxsize=16384)
def _scan_file(path: str, size: int, modified: int) -> Scan:
    del size, modified  # they only tell the cache that the file changed
    with open_video(path) as (container, stream):
        packets, ended_well = _packets(container, stream)
        if not packets:
            raise unreadable(path)
        stamps = sorted(packet.stamp for packet in packets if packet.shown)
        times = _seconds(stamps, stream)
        declared = stream.frames
        complete = ended_well and len(packets) >= declared - max(
            1, MISSING_SHARE * declared
        )
        return Scan(
            path=path,
            times=times,
            stamps=stamps if _are_told_apart(packets, stamps) else None,
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


def _are_told_apart(packets: list[_Packet], stamps: list[int]) -> bool:
    exact = all(packet.exact for packet in packets)
    return exact and len(set(stamps)) == len(stamps)


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


def _seconds(stamps: list[int], stream) -> np.ndarray:
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


# === Opening and decoding ===


@contextlib.contextmanager
def open_video(path: str, threads: int = 1):
    """The container and its video stream; `threads` 0 takes what helps."""
    try:
        # Absolute, since FFmpeg takes what stands before a colon for a
        # protocol.
        container = av.open(os.path.abspath(path))
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


def decoded(stream) -> Iterator[av.VideoFrame]:
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


def unreadable(path: str) -> VideoError:
    return VideoError(
        f"Cannot read {path}: no frame could be decoded. The file is damaged "
        "or in a codec this FFmpeg build lacks; convert it to H.264."
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
