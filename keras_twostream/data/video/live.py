"""Frames of cameras and network streams, as they arrive.

A camera is opened by OpenCV, which knows the cameras of every system; an
address by PyAV. A source that goes away is opened again, after waits that
double, until patience ends. A file is read as everywhere else, at its own pace.
"""

import contextlib
import dataclasses
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import av
import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.video import limits
from keras_twostream.data.video.boundary import reason
from keras_twostream.data.video.fetching import without_secrets
from keras_twostream.data.video.opening import FORMATS, best_stream
from keras_twostream.data.video.packets import scan_video
from keras_twostream.data.video.pictures import orientation, shown_size, to_rgb
from keras_twostream.data.video.reading import iter_frames
from keras_twostream.data.video.resizing import resize
from keras_twostream.errors import SpecError, VideoError, check_number

SCHEMES = ("rtsp", "rtsps", "http", "https")
# What an address may be, and the protocols beneath it. No playlist, which
# names other addresses, and no file.
_FORMATS = ",".join([*FORMATS, "mpjpeg", "rtsp"])
_PROTOCOLS = "rtsp,rtsps,rtp,udp,http,https,tcp,tls"
_OPENING = 10.0  # seconds until an address has answered
_SILENCE = 5.0  # seconds without a frame after which it has gone
_WAITS = (0.5, 8.0)  # seconds before the first new attempt, and at most
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)

LiveSource = int | str | os.PathLike[str]


class Arrival(NamedTuple):
    """A frame of a live source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        second: Seconds since the first frame, on the stream's own time.
        moment: Reading of `time.monotonic` when it was decoded.
        joined: Whether it follows the frame before; not after a loss.
    """

    image: np.ndarray
    second: float
    moment: float
    joined: bool


@dataclasses.dataclass(frozen=True)
class Line:
    """The way to a live source.

    Attributes:
        source: Number of a camera, an address, or a file.
        pace: Seconds of a file that are played in one second; None for as
            fast as it is read.
        patience: Seconds without a frame after which a lost camera or address
            is given up; math.inf for never.
    """

    source: LiveSource
    pace: float | None = 1.0
    patience: float = 30.0

    def __post_init__(self) -> None:
        named = isinstance(self.source, str | os.PathLike)
        if not named and not _is_camera(self.source):
            raise SpecError(
                "`source` must be the number of a camera, 0 or more, an "
                "address or a file; `predict` takes frames. "
                f"Received: {type(self.source).__name__}"
                + f" {self.source}"
                * isinstance(self.source, int)
            )
        if self.pace is not None:
            check_number("pace", self.pace)
        endless = isinstance(self.patience, float) and self.patience == math.inf
        if not endless:
            check_number("patience", self.patience, ends=True)
        if isinstance(self.source, str) and _ADDRESS.match(self.source):
            scheme = self.source.partition(":")[0].lower()
            if scheme not in SCHEMES:
                raise SpecError(
                    f"A live address begins with {', '.join(SCHEMES)}. "
                    f"Received: {self.name}"
                )

    @property
    def name(self) -> str:
        """The source in messages: an address without its password."""
        if isinstance(self.source, int):
            return f"camera {self.source}"
        text = os.fspath(self.source)
        return without_secrets(text) if _ADDRESS.match(text) else text

    @property
    def is_file(self) -> bool:
        """Check if the source is a file, which ends and is never lost."""
        return not isinstance(self.source, int) and not _ADDRESS.match(
            os.fspath(self.source)
        )

    @property
    def rate(self) -> float | None:
        """Frames per second of a file; None for what has no end.

        Raises:
            VideoError: If the file cannot be read.
        """
        if not self.is_file:
            return None
        return scan_video(os.fspath(self.source)).fps  # type: ignore[arg-type]


def _is_camera(source: Any) -> bool:
    number = isinstance(source, int) and not isinstance(source, bool)
    return number and source >= 0  # OpenCV crashes on some below 0


def arrivals(
    line: Line, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Arrival]:
    """Yield frames as they arrive; a lost source is opened again.

    Raises:
        VideoError: If it cannot be opened at first, or is lost for longer
            than the patience.
    """
    if line.is_file:
        yield from _played(line, stopped)
        return
    begun, last, seen, wait = None, time.monotonic(), 0, _WAITS[0]
    while not stopped():
        joined, trouble = False, "it ended"
        try:
            with _opened(line) as images:
                for image in images:
                    last, wait = time.monotonic(), _WAITS[0]
                    begun = last if begun is None else begun
                    seen += 1
                    yield Arrival(image, last - begun, last, joined)
                    joined = True
                    if stopped():
                        return
        except VideoError as error:
            trouble = str(error)
        except (av.FFmpegError, OSError) as error:
            trouble = reason(error)  # its text would show the password
        _check_lost(line, seen, last, wait, trouble)
        _sleep(wait, stopped)
        wait = min(2 * wait, _WAITS[1])


def _check_lost(
    line: Line, seen: int, last: float, wait: float, trouble: str
) -> None:
    """Give up a source that never came, or has been away for too long."""
    if not seen:
        raise VideoError(
            f"Cannot open {line.name}: {trouble}. Check the number or the "
            "address, and that no other program holds it."
        )
    away = time.monotonic() - last
    if away + wait > line.patience:
        raise VideoError(
            f"Lost {line.name} after {seen:,} frames: none for {away:.1f} s "
            f"({trouble}). Check its power and network, or allow a longer "
            "`patience`."
        )


def _played(line: Line, stopped: Callable[[], bool]) -> Iterator[Arrival]:
    """Yield a file's frames, each at its time."""
    path = os.fspath(line.source)  # type: ignore[arg-type] # no number
    seconds = scan_video(path).times
    begun, joined = time.monotonic(), False
    # A file that is cut short has fewer frames than times.
    for second, image in zip(seconds.tolist(), iter_frames(path), strict=False):
        if line.pace is not None:
            due = begun + second / line.pace
            _sleep(due - time.monotonic(), stopped)
        if stopped():
            return
        yield Arrival(image, second, time.monotonic(), joined)
        joined = True


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, 0.1))


# === Opening ===


@contextlib.contextmanager
def _opened(line: Line) -> Iterator[Iterator[np.ndarray]]:
    if isinstance(line.source, int):
        with _camera(line.source) as images:
            yield images
    else:
        with _decoded(line) as images:
            yield images


@contextlib.contextmanager
def _camera(number: int) -> Iterator[Iterator[np.ndarray]]:
    with _opencv_silent():
        capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise VideoError(f"there is no camera {number}{_cameras()}")
        yield _grabbed(capture)
    finally:
        capture.release()


@contextlib.contextmanager
def _opencv_silent() -> Iterator[None]:
    """Keep OpenCV from printing why each of its ways to a camera failed."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def _cameras() -> str:
    """Name the cameras, where the system lists them as files."""
    if not sys.platform.startswith("linux"):
        return ""
    names = [n[5:] for n in os.listdir("/dev") if re.match(r"video\d+$", n)]
    return f"; there are {', '.join(sorted(names)) or 'none'}"


def _grabbed(capture: Any) -> Iterator[np.ndarray]:
    while True:
        there, image = capture.read()
        if not there:
            return
        yield np.ascontiguousarray(image[..., ::-1])


@contextlib.contextmanager
def _decoded(line: Line) -> Iterator[Iterator[np.ndarray]]:
    """Open an address; give its frames."""
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": _PROTOCOLS,
        "max_pixels": str(limits.limit(limits.PIXELS)),
        "rtsp_transport": "tcp",
        "fflags": "nobuffer",
    }
    place, waits = os.fspath(line.source), (_OPENING, _SILENCE)  # type: ignore[arg-type]
    with av.open(place, options=options, timeout=waits) as container:
        stream = best_stream(container, line.name)
        limits.check_pixels(line.name, stream.height, stream.width)
        yield _shown(_undamaged(container, stream), stream, line)


def _undamaged(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """Yield frames; packets that the network damaged are passed over."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        yield from frames


def _shown(
    frames: Iterator[av.VideoFrame], stream: Any, line: Line
) -> Iterator[np.ndarray]:
    """Yield upright RGB frames with square pixels."""
    for frame in frames:
        limits.check_pixels(line.name, frame.height, frame.width)
        yield _upright(frame, stream)


def _upright(frame: av.VideoFrame, stream: Any) -> np.ndarray:
    how, aspect = orientation(frame), stream.sample_aspect_ratio
    size = shown_size((frame.height, frame.width), aspect, how.quarters)
    return resize(to_rgb(frame, how), size)
