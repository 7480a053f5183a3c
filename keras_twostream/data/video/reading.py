"""Reading of video files: RGB frames, at any frame rate and size.

PyAV decodes, and Pillow decodes WebP. PyAV is as fast as OpenCV's wheel on
the same files, and correct where that wheel fails silently: there, AV1 gives
no frame and no error, and a damaged file ends early without an error.

A file is *scanned* once, see `packets`. Frame `i` of a video is the i-th in
the order in which a player shows them, which is that of decoding from the
start, however it is reached. Where a frame of a damaged file cannot be
decoded, the next readable frame replaces it. A `rate` lays a timeline of
evenly spaced moments over the video and takes, for each, the frame nearest in
time.

Frames look as in a player: upright, with square pixels. Interlaced frames stay
interlaced, and transparency is ignored.
"""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np

from keras_twostream.data.video import limits
from keras_twostream.data.video.boundary import one_file
from keras_twostream.data.video.opening import Film, open_video
from keras_twostream.data.video.packets import (
    Scan,
    distrust,
    scan_video,
    unreadable,
)
from keras_twostream.data.video.pictures import (
    orientation,
    shown_size,
    square,
    to_rgb,
)
from keras_twostream.data.video.resizing import cut_middle, fit_size, resize
from keras_twostream.data.video.webp import Flipbook
from keras_twostream.errors import SpecError


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Facts about a video file.

    Attributes:
        path: The file.
        frames: Frames in the file, counted.
        fps: Frames per second, on average.
        duration: Duration in seconds.
        height: Height as shown, after rotation, in square pixels.
        width: Width as shown, after rotation, in square pixels.
        codec: FFmpeg's name of the codec.
        rotation: Anticlockwise rotation of frames for display, in degrees.
        truncated: Whether the file is shorter than its header states.
        mirrored: Whether left and right are exchanged for display, before
            rotation.
        pixel_aspect: Width of a stored pixel over its height.
        interlaced: Whether frames are interlaced: two fields, taken at
            different moments.
        seekable: Whether a frame can be read without all earlier frames.
        joins: Number of places where another recording begins, with its own
            clock.
        holes: Number of leaps in time that were closed.
        damaged: Whether some packets could not be decoded; known only for
            files whose frames had to be counted.
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
    mirrored: bool = False
    pixel_aspect: float = 1.0
    interlaced: bool = False
    seekable: bool = True
    joins: int = 0
    holes: int = 0
    damaged: bool = False


def probe(path: str | os.PathLike) -> VideoInfo:
    """Return facts about a video file.

    This reads every packet and decodes one frame. It decodes the whole file
    where packets do not tell the frames (AVI, transport and program streams).

    Args:
        path: A video file.

    Returns:
        A `VideoInfo`.

    Raises:
        VideoError: If the file is missing, empty, not a video, has no video
            stream, or no frame can be decoded.
    """
    scan = scan_video(path)
    with one_file(scan.path), open_video(scan.path) as film:
        frame = _first_of(film)
        how = orientation(frame)
        height, width = shown_size(film.size, film.aspect, how.quarters)
        return VideoInfo(
            path=scan.path,
            frames=len(scan.times),
            fps=scan.fps,
            duration=scan.duration,
            height=height,
            width=width,
            codec=film.codec,
            rotation=how.rotation,
            truncated=scan.truncated,
            mirrored=how.mirrored,
            pixel_aspect=float(square(film.aspect)),
            interlaced=film.interlaced or frame.interlaced_frame,
            seekable=scan.seekable,
            joins=scan.joins,
            holes=scan.holes,
            damaged=scan.damaged,
        )


def check_readable(path: str | os.PathLike) -> None:
    """Refuse a file of which no frame can be decoded.

    Raises:
        VideoError: If it cannot be read.
    """
    path = os.path.expanduser(os.fspath(path))
    with one_file(path), open_video(path) as film:
        _first_of(film)


def differs_from_version_1(path: str | os.PathLike) -> bool:
    """Return whether version 1 of the reader read a file differently.

    Raises:
        VideoError: If it cannot be read.
    """
    info = probe(path)
    alike = scan_video(path).plain and info.pixel_aspect == 1
    return info.mirrored or not alike


def count_frames(path: str | os.PathLike, rate: float | None = None) -> int:
    """Return the number of frames of a video on the timeline of `rate`.

    Args:
        path: A video file.
        rate: Frames per second, or None for the video's own frames.

    Returns:
        Number of frames, at least 1.

    Raises:
        VideoError: If the file cannot be read, or has too few frames for a
            timeline of that rate (see `limits`).
    """
    return len(scan_video(path).timeline(rate))


def frame_seconds(
    path: str | os.PathLike, rate: float | None = None
) -> np.ndarray:
    """Return the seconds at which frames begin, and the end of the last.

    Args:
        path: A video file.
        rate: Frames per second, None for the video's own frames, which need
            not be evenly spaced.

    Returns:
        (count_frames(path, rate) + 1,) seconds, ascending.

    Raises:
        VideoError: If the file cannot be read.
    """
    if rate is not None:
        return np.arange(count_frames(path, rate) + 1) / rate
    scan = scan_video(path)
    return np.append(scan.times, max(scan.duration, scan.times[-1]))


def read_frames(
    path: str | os.PathLike,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
    cut_to: tuple[int, int] | None = None,
    resize_filter: str = "area",
) -> np.ndarray:
    """Decode chosen frames of a video, in the order asked for.

    Where the file allows, frames before the first and after the last wanted
    frame are not decoded. The next readable frame replaces a damaged one, and
    the last readable frame replaces those behind the end of a truncated file;
    see `probe(path).truncated`.

    Args:
        path: A video file.
        indices: Frames on the timeline of `rate`, in any order, repeated or
            not; all frames when None.
        rate: Frames per second of the timeline, None for the video's own.
        short_side: Length of the short side in pixels, None to keep the size.
        resize_to: (height, width), instead of `short_side`.
        cut_to: (height, width) of the middle to keep, or None for all.
        resize_filter: "area" averages when shrinking; "bilinear" does not.

    Returns:
        (N, H, W, 3) uint8 RGB.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If an index is outside the video.
    """
    scan = scan_video(path)
    with one_file(scan.path):
        bring = _Bringing(short_side, resize_to, cut_to, resize_filter)
        try:
            return _read(scan, indices, rate, bring)
        except _Contradiction:
            return _read(distrust(scan), indices, rate, bring)


def iter_frames(
    path: str | os.PathLike,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    resize_to: tuple[int, int] | None = None,
    cut_to: tuple[int, int] | None = None,
    resize_filter: str = "area",
) -> Iterator[np.ndarray]:
    """Decode a video from start to end, one frame in memory at a time.

    The next readable frame replaces a damaged one.

    Args:
        path: A video file.
        rate: Frames per second, None for the video's own frames.
        short_side: Length of the short side in pixels, None to keep the size.
        resize_to: (height, width), instead of `short_side`.
        cut_to: (height, width) of the middle to keep, or None for all.
        resize_filter: "area" averages when shrinking; "bilinear" does not.

    Yields:
        (H, W, 3) uint8 RGB frames, `count_frames(path, rate)` of them unless
        the file is truncated.

    Raises:
        VideoError: If the file cannot be read.
    """
    scan = scan_video(path)
    bring = _Bringing(short_side, resize_to, cut_to, resize_filter)
    done = 0
    with one_file(scan.path):
        try:
            for image in _images(scan, rate, bring):
                yield image
                done += 1
        except _Contradiction:
            again = _images(distrust(scan), rate, bring)
            yield from itertools.islice(again, done, None)
            done += 1
    if not done:
        raise unreadable(scan.path)


# === Decoding ===


class _Contradiction(Exception):
    """An error: a decoder gives other frames than the packets listed."""


class _Bringing:
    """A conversion of decoded frames to the wanted pictures.

    Every frame gets the size of the file's first frame, even in a stream whose
    size changes.
    """

    def __init__(
        self,
        short_side: int | None,
        resize_to: tuple[int, int] | None,
        cut_to: tuple[int, int] | None,
        resize_filter: str,
    ) -> None:
        self._short_side, self._resize_to = short_side, resize_to
        self._cut_to, self._filter = cut_to, resize_filter
        self._sizes: dict[int, tuple[int, int]] = {}  # by quarter turns

    def __call__(self, film: Film | Flipbook, frame) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB of the wanted size."""
        how = orientation(frame)
        if how.quarters not in self._sizes:
            self._sizes[how.quarters] = self._size(film, how.quarters)
        size = self._sizes[how.quarters]
        image = resize(to_rgb(frame, how), size, self._filter)
        return cut_middle(image, self._cut_to)

    def _size(self, film: Film | Flipbook, quarters: int) -> tuple[int, int]:
        size = shown_size(film.size, film.aspect, quarters)
        limits.check_pixels(film.path, *size)
        return fit_size(size, self._short_side, self._resize_to)


def _images(scan: Scan, rate, bring: _Bringing) -> Iterator[np.ndarray]:
    """Yield the frames of a timeline, from start to end."""
    timeline, done = scan.timeline(rate), 0
    # Counted frames must come in the same order as when they were counted.
    threads = 1 if scan.stamps is None else 0
    with open_video(scan.path, threads) as film:
        position = -1
        for position, frame in _placed(scan, film, film.frames()):
            reached = int(np.searchsorted(timeline, position, side="right"))
            if reached > done:
                image = bring(film, frame)
                yield from itertools.repeat(image, reached - done)
                done = reached
        _check_end(scan, position)


def _read(scan: Scan, indices, rate, bring: _Bringing) -> np.ndarray:
    timeline = scan.timeline(rate)
    wanted = timeline if indices is None else _pick(scan, timeline, indices)
    unique, inverse = np.unique(wanted, return_inverse=True)
    frames = _unique_frames(scan, unique, bring)
    return frames if np.array_equal(unique, wanted) else frames[inverse]


def _unique_frames(scan: Scan, wanted: np.ndarray, bring) -> np.ndarray:
    """Yield the frames `wanted`, ascending and without repeats."""
    key = scan.key_before(int(wanted[0]))
    if scan.seekable and key > 0:
        with open_video(scan.path) as film:
            try:
                frames = _after_seek(scan, film, key, int(wanted[0]))
                return _filled(scan, film, frames, wanted, bring)
            except (_Contradiction, _Ended):
                pass  # the container seeks to a wrong place
    with open_video(scan.path) as film:
        try:
            frames = _placed(scan, film, film.frames())
            return _filled(scan, film, frames, wanted, bring)
        except _Ended:
            return _last_readable(scan, len(wanted), bring)


class _Ended(Exception):
    """An error: a damaged file ends before the first wanted frame."""


def _filled(scan: Scan, film, frames, wanted: np.ndarray, bring) -> np.ndarray:
    """Return the frames `wanted`, out of ascending (position, frame) pairs."""
    images, filled, position = None, 0, -1
    for position, frame in frames:
        while filled < len(wanted) and wanted[filled] <= position:
            image = bring(film, frame)
            if images is None:
                images = np.empty((len(wanted), *image.shape), np.uint8)
            images[filled] = image
            filled += 1
        if images is not None and filled == len(wanted):
            return images
    _check_end(scan, position)
    if images is None:
        raise _Ended
    images[filled:] = images[filled - 1]
    return images


def _last_readable(scan: Scan, count: int, bring: _Bringing) -> np.ndarray:
    """Return the last readable frame, to replace frames behind it."""
    with open_video(scan.path) as film:
        last = collections.deque(film.frames(), maxlen=1)
        if not last:
            raise unreadable(scan.path)
        return np.repeat(bring(film, last[0])[None], count, axis=0)


def _after_seek(scan: Scan, film, key: int, first: int):
    """Yield (position, frame) pairs from a key frame at or before `first`.

    Raises:
        _Contradiction: If the decoder is not at the position sought.
    """
    stamps = scan.stamps or []
    if not film.seek(stamps[key]):
        raise _Contradiction
    placed = _placed(scan, film, film.frames())
    head = next(placed, None)
    if head is None or head[0] > first:
        raise _Contradiction
    return itertools.chain([head], placed)


def _placed(
    scan: Scan, film: Film | Flipbook, frames: Iterable[av.VideoFrame]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (position, frame) pairs, with positions by stamp or count.

    Raises:
        _Contradiction: If the decoded frames differ from the listed ones.
    """
    position = -1
    for frame in frames:
        if scan.stamps is None:
            position += 1
            yield position, frame
            continue
        place = scan.place(frame.pts)
        if place is None or place <= position:
            if film.damaged:
                continue
            raise _Contradiction
        passed_over = position >= 0 and place > position + 1
        if scan.listed and passed_over and not film.damaged:
            raise _Contradiction
        if passed_over:
            limits.check_gap(scan.path, place - position - 1, len(scan.times))
        position = place
        yield position, frame


def _check_end(scan: Scan, position: int) -> None:
    """Refuse a file whose last frames are missing without its header's word.

    Args:
        scan: The file; of one cut short, `probe` says so.
        position: The last frame that could be decoded, -1 if none.

    Raises:
        VideoError: If too many are missing behind `position`.
    """
    if position >= 0 and not scan.truncated:
        frames = len(scan.times)
        limits.check_gap(scan.path, frames - position - 1, frames)


def _first_of(film: Film | Flipbook) -> av.VideoFrame:
    frame = next(film.frames(), None)
    if frame is None:
        raise unreadable(film.path)
    return frame


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
