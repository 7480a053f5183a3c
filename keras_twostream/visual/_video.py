"""The annotated video: frame, motion, scores and timeline, side by side."""

import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from keras_twostream import _files
from keras_twostream._printing import percent, readable
from keras_twostream.data.video.encoders import first_encoder, video_stream
from keras_twostream.spec import FUSED
from keras_twostream.visual import _parts, _theme
from keras_twostream.visual._parts import Box
from keras_twostream.visual._story import Story

SIZE = (1280, 720)
_MARGIN = 32
_ROWS = 4
_INSIDE = SIZE[0] - 2 * _MARGIN
_HEAD = _INSIDE * 2 // 3
_MEDIA = Box(_MARGIN, 92, _INSIDE, 364)
_SCORES = Box(_MARGIN, 472, _INSIDE, 168)
_TIMELINE = Box(_MARGIN, 656, _INSIDE, 24)
_WAITING = 4  # frames drawn that wait for the encoder

# Browsers play both; H.264 needs a GPL build of FFmpeg.
_ENCODERS = {
    "libx264": (".mp4", {"crf": "20", "preset": "veryfast"}),
    "libvpx-vp9": (".webm", {"crf": "32", "b": "0", "cpu-used": "6"}),
}


def annotated_video(
    path: str | os.PathLike,
    story: Story,
    footage: Iterable[tuple[float, np.ndarray, np.ndarray]],
    rate: float,
) -> Path:
    """Write a video that a browser plays: footage and the model's scores.

    Returns:
        The path written: H.264 in .mp4, or VP9 in .webm.

    Raises:
        MissingLibraryError: If FFmpeg can write neither.
    """
    stage = Stage(story)
    with video_writer(Path(path), rate, SIZE) as (written, write):
        for second, frame, motion in footage:
            write(stage.draw(second, frame, motion))
    return written


class Stage:
    """A panel that is drawn once, and the parts that change on it."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._base = Image.new("RGB", SIZE, _theme.BACKGROUND)
        _parts.panel(self._base, _MEDIA)
        _parts.panel(self._base, _SCORES)
        draw = ImageDraw.Draw(self._base)
        _parts.timeline(draw, _TIMELINE, story)
        edge = (SIZE[0] - _MARGIN, 46)
        width = _INSIDE - _HEAD - 20
        _parts.text(draw, edge, story.name, 17, anchor="rs", width=width)
        edge = (edge[0], 72)
        _parts.text(
            draw, edge, story.subtitle, 15, _theme.MUTED, anchor="rs",
            width=width,
        )  # fmt: skip

    def draw(
        self, second: float, frame: np.ndarray, motion: np.ndarray
    ) -> np.ndarray:
        """Return the (720, 1280, 3) uint8 picture of one moment."""
        canvas = self._base.copy()
        draw = ImageDraw.Draw(canvas)
        left, right = _MEDIA.inset(12).columns(2, 20)
        left = _parts.picture(canvas, left, frame)
        right = _parts.picture(canvas, right, motion)
        _parts.wheel(canvas, right, 52)
        _parts.tag(draw, left, "frame", 13)
        _parts.tag(draw, right, "motion", 13)
        self._headline(draw, second)
        self._scores(draw, second)
        _parts.playhead(draw, _TIMELINE, self._story, second)
        return np.asarray(canvas)

    def _headline(self, draw: ImageDraw.ImageDraw, second: float) -> None:
        story = self._story
        now = story.at(second)
        best = int(np.argmax(now))
        width = _parts.text(
            draw, (_MARGIN, 50), story.label(best), 32, bold=True,
            width=_HEAD - 140,
        )  # fmt: skip
        _parts.text(
            draw, (_MARGIN + width + 16, 50), percent(now[best]), 32,
            _theme.STREAM_COLOURS[FUSED],
        )  # fmt: skip
        (whole,) = story.ranked(1)
        line = f"{percent(story.whole[FUSED][whole])} {story.label(whole)}"
        line = f"whole video: {line}"
        if story.truth is not None:
            line += f"    truth: {readable(story.truth)}"
        _parts.text(draw, (_MARGIN, 76), line, 15, _theme.MUTED, width=_HEAD)

    def _scores(self, draw: ImageDraw.ImageDraw, second: float) -> None:
        story = self._story
        shown = story.shown(second, _ROWS)
        streams = story.streams
        columns = _SCORES.inset(16).columns(len(streams), 40)
        for box, stream in zip(columns, streams, strict=True):
            now = story.at(second, stream)
            rows = [(story.label(i), float(now[i])) for i in shown]
            _parts.bars(draw, box, stream, rows, alone=len(streams) == 1)


# === Writing ===


def video_path(path: str | os.PathLike) -> Path:
    """Return the path at which a video is written.

    Raises:
        MissingLibraryError: If FFmpeg has none.
    """
    suffix, _ = _ENCODERS[first_encoder(_ENCODERS)]
    return _files.expanded(path).with_suffix(suffix)


@contextlib.contextmanager
def video_writer(
    path: Path, rate: float, size: tuple[int, int]
) -> Iterator[tuple[Path, Callable[[np.ndarray], None]]]:
    """Give the path of a new video, and a function that appends a frame.

    A thread encodes one frame while the caller draws the next; a frame must
    not change after it is given. The file appears under its name when it is
    whole.

    Args:
        path: File to write; its suffix follows the encoder that FFmpeg has.
        rate: Frames per second.
        size: (width, height) of the frames, both even.
    """
    encoder = first_encoder(_ENCODERS)
    suffix, options = _ENCODERS[encoder]
    path = video_path(path)
    with (
        _files.replacing(path) as (part,),
        # The index goes first: a browser plays before all is loaded.
        # Absolute, since FFmpeg takes what stands before a colon for a
        # protocol.
        av.open(
            os.path.abspath(part),
            "w",
            format=suffix[1:],
            options={"movflags": "faststart"},
        ) as container,
    ):
        fraction = Fraction(rate).limit_denominator(1001)
        stream = video_stream(container, encoder, fraction, options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        with _behind(lambda image: _append(container, stream, image)) as append:
            yield path, append
        container.mux(stream.encode())


def _append(container, stream, image: np.ndarray) -> None:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    container.mux(stream.encode(frame))


@contextlib.contextmanager
def _behind(
    work: Callable[[np.ndarray], None],
) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that leaves `work` to a thread, in order.

    What the thread raises is raised by a later call, or at the end.
    """
    waiting: collections.deque[Future[None]] = collections.deque()

    with ThreadPoolExecutor(1) as thread:

        def hand_over(image: np.ndarray) -> None:
            waiting.append(thread.submit(work, image))
            if len(waiting) > _WAITING:
                waiting.popleft().result()

        yield hand_over
        for future in waiting:
            future.result()
