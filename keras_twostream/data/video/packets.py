"""The frames of a video and their times, scanned once per file.

Containers in which every packet is a frame with its time (MP4 and Matroska,
in today's codecs) are *listed*: their packets are read and not decoded. The
listing is checked while frames are read, and discarded where a decoder
disagrees. All others are *counted*: decoded once from start to end, since a
decoder puts frames out in the order in which they are shown, whatever the
stamps are.
"""

import bisect
import dataclasses
import functools
import itertools
import os

import numpy as np

from keras_twostream.data.video import clock, limits
from keras_twostream.data.video.boundary import one_file
from keras_twostream.data.video.clock import Packet
from keras_twostream.data.video.opening import check_file, open_video
from keras_twostream.errors import VideoError, check_number

_LISTING = {
    "mov": "av1 dnxhd ffv1 h264 hevc mjpeg mpeg4 prores vp9".split(),
    "matroska": "av1 ffv1 h264 hevc mjpeg mpeg4 vp9".split(),
    "avi": "ffv1 mjpeg rawvideo".split(),
}
_SEEKING = ("mov", "matroska", "avi")

_Key = tuple[str, int, int]
_distrusted: set[_Key] = set()


@dataclasses.dataclass(frozen=True)
class Scan:
    """The frames of a video, in the order in which they are shown.

    Attributes:
        path: The file.
        times: (frames,) seconds since the first frame, ascending.
        stamps: The container's stamp of each frame, ascending, which
            identifies the frame; None where frames must be counted.
        keys: Frames that decoding can start from, ascending.
        fps: Frames per second, on average.
        truncated: Whether the file is shorter than its header states.
        listed: Whether the scan read packets alone and decoded nothing.
        seekable: Whether decoding can start anywhere but at the start.
        joins: Number of places where another recording begins.
        holes: Number of leaps in time that were closed.
        damaged: Whether some packets could not be decoded, if all were tried.
        plain: Whether version 1 of the reader gives the same frames.
    """

    path: str
    times: np.ndarray
    stamps: list[int] | None
    keys: list[int]
    fps: float
    truncated: bool
    listed: bool = False
    seekable: bool = False
    joins: int = 0
    holes: int = 0
    damaged: bool = False
    plain: bool = True

    @property
    def duration(self) -> float:
        """Duration of the video in seconds."""
        return len(self.times) / self.fps

    def timeline(self, rate: float | None) -> np.ndarray:
        """Return the frame nearest in time to each moment k / rate.

        Args:
            rate: Frames per second, or None for the video's own frames.

        Returns:
            (N,) ints, ascending.

        Raises:
            SpecError: If the rate is not above 0.
            VideoError: If N is too many times the number of frames.
        """
        frames = len(self.times)
        if rate is None:
            return np.arange(frames)
        check_number("rate", rate)
        places = max(1, round(self.duration * rate))
        limits.check_stretch(self.path, places, frames, rate)
        middles = (self.times[1:] + self.times[:-1]) / 2
        return np.searchsorted(middles, np.arange(places) / rate, side="left")

    def key_before(self, frame: int) -> int:
        """Return the last key frame at or before a frame, or 0 if none."""
        place = bisect.bisect_right(self.keys, frame)
        return self.keys[place - 1] if place else 0

    def place(self, stamp: int | None) -> int | None:
        """Return the frame with a stamp, None if no frame has it."""
        if stamp is None or self.stamps is None:
            return None
        place = bisect.bisect_left(self.stamps, stamp)
        there = place < len(self.stamps) and self.stamps[place] == stamp
        return place if there else None


def scan_video(path: str | os.PathLike) -> Scan:
    """Return the scan of a file, cached until the file changes.

    Raises:
        VideoError: If it cannot be read.
    """
    path = os.path.expanduser(os.fspath(path))
    key = _key(path)
    with one_file(path):
        return _scan_file(key, key not in _distrusted)


def distrust(scan: Scan) -> Scan:
    """Return a counted scan of a file whose listing proved wrong."""
    _distrusted.add(_key(scan.path))
    return scan_video(scan.path)


def unreadable(path: str) -> VideoError:
    """Return the error for a file of which nothing can be decoded."""
    return VideoError(
        f"Cannot read {path}: no frame could be decoded. The file is damaged "
        "or in a codec this FFmpeg build lacks; convert it to H.264."
    )


def _key(path: str) -> _Key:
    status = check_file(path)
    return path, status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=16384)
def _scan_file(key: _Key, trusting: bool) -> Scan:
    path = key[0]
    with open_video(path) as film:
        packets, whole = film.list_packets()
        if not packets:
            raise unreadable(path)
        listed = None
        if trusting and _tell_frames(packets, film):
            listed = _listed(film, packets, whole)
            if not listed.joins and not _may_be_shuffled(packets, film):
                return listed
    # Open again: a file that was read to its end is not at its start.
    with open_video(path) as film:
        counted = _counted(film, packets, whole)
    return counted if listed is None else _proven(listed, counted)


def _listed(film, packets: list[Packet], whole: bool) -> Scan:
    shown = [n for n, packet in enumerate(packets) if packet.shown]
    stamps = [packet.pts or 0 for packet in packets]  # no frame is missing
    shown.sort(key=stamps.__getitem__)
    scan = _scan(film, packets, shown, whole)
    return dataclasses.replace(
        scan,
        stamps=[stamps[number] for number in shown],
        listed=True,
        seekable=film.index_holds(packets),
        plain=film.first and not scan.holes,
    )


def _proven(listed: Scan, counted: Scan) -> Scan:
    """Return the listing if decoding confirms it, otherwise the count.

    A listing keeps the places of damaged frames.
    """
    lacking = len(listed.times) - len(counted.times)
    agrees = counted.stamps is not None and not listed.joins
    return listed if agrees and (counted.damaged or not lacking) else counted


def _counted(film, packets: list[Packet], whole: bool) -> Scan:
    shown: list[int] = []
    stamps: list[int | None] = []
    for number, frame in film.frames_of_packets():
        # Decoders outside FFmpeg may not hand the number on.
        last = min(len(shown), len(packets) - 1)
        shown.append(last if number is None else number)
        stamps.append(frame.pts)
    if not shown:
        raise unreadable(film.path)
    scan = _scan(film, packets, shown, whole)
    ascending = _ascending(stamps)
    edited = not all(packet.shown for packet in packets)
    seeks = film.format in _SEEKING and film.index_holds(packets)
    return dataclasses.replace(
        scan,
        stamps=ascending,
        seekable=bool(ascending) and not edited and seeks,
        damaged=film.damaged,
        plain=(
            film.first
            and ascending is not None
            and not scan.joins
            and not scan.holes
            and len(shown) == sum(packet.shown for packet in packets)
        ),
    )


def _scan(film, packets: list[Packet], shown: list[int], whole: bool) -> Scan:
    times = clock.frame_times(packets, shown, film.tick, film.rate)
    return Scan(
        path=film.path,
        times=times.seconds,
        stamps=None,
        keys=[n for n, packet in enumerate(shown) if packets[packet].key],
        fps=clock.average_rate(times.seconds, film.rate),
        truncated=not whole,
        joins=times.joins,
        holes=times.holes,
    )


def _tell_frames(packets: list[Packet], film) -> bool:
    """Return whether packets alone tell the frames and their times.

    They do not where frames are shown before the first key frame, or are left
    out in the middle.
    """
    if film.codec not in _LISTING.get(film.format, ()) or film.interlaced:
        return False
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if len(stamps) < len(packets) or len(set(stamps)) < len(stamps):
        return False
    order = [packets[n] for n in np.argsort(stamps)]
    runs = [shown for shown, _ in itertools.groupby(p.shown for p in order)]
    inside = runs.count(True) == 1
    return inside and packets[0].key and order[0].pts == packets[0].pts


def _may_be_shuffled(packets: list[Packet], film) -> bool:
    """Return whether stamps may be in decoding order.

    The stamps ascend, and the codec can show frames in another order: either
    it does not, or a tool wrote wrong stamps.
    """
    stamps = [packet.pts for packet in packets]
    return film.reorders and len(stamps) > 1 and bool(_ascending(stamps))


def _ascending(stamps: list[int | None]) -> list[int] | None:
    """Return the stamps, if all are present and ascending."""
    there = [stamp for stamp in stamps if stamp is not None]
    ascend = all(a < b for a, b in itertools.pairwise(there))
    return there if ascend and len(there) == len(stamps) else None
