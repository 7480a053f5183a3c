"""Clips that cover a video of any length, in constant memory."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import numpy as np

from keras_twostream._read_ahead import ahead
from keras_twostream.data.cutting import cropping, placement
from keras_twostream.data.cutting.clip_frames import ClipFrames, frames_of
from keras_twostream.data.cutting.clip_sources import ArraySource
from keras_twostream.data.cutting.footage import Footage
from keras_twostream.data.cutting.kept_flow import Album, KeptFlow
from keras_twostream.data.source import refuse_part
from keras_twostream.data.video import reading, resizing
from keras_twostream.errors import check_seconds
from keras_twostream.spec import ClipSpec

WHOLE_SECONDS = 10.0  # window of a whole-video sampling
FEWEST_WINDOWS = 8  # if a short video has room for them
# Frames of a clip that takes seconds to score: windows of it stand side by
# side. I3D's authors, too, score each frame of a video once.
LONG_CLIP = 32

SHORTEST_HOP = 0.2  # seconds; single frames closer together look alike

Watch = Callable[[str], AbstractContextManager[Any]]


class Windows:
    """A sequence of clips that covers a video from start to end.

    A window is as long as the model's clip, and in a short video its stride
    shrinks, if possible, to fit. Where the model samples a whole video
    ("segments", "whole"), a window is ten seconds long.

    Args:
        source: A video file, or (T, H, W, 3) RGB frames, 0..255, at the
            spec's frame rate.
        spec: The clip.
        hop: Seconds from one window to the next; when None half a window,
            but 0.2 s or more, and less in a short video; a whole one where
            it has 32 steps or more.
        watch: Stopwatch that times "decode" and "flow", see `Stopwatch`.
        album: A place for the flow that will be shown; none when None.

    Attributes:
        rate: Frames per second of the timeline.
        size: (height, width) of the video's own frames.
        frames: Frames on the timeline.
        truncated: Whether the file is shorter than its header states.
        places: (N, 2) first frame of each window, and the one behind its last.
        spans: (N, 2) first and last second of each window.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If frames in memory or `hop` are invalid.
    """

    def __init__(
        self,
        source: str | os.PathLike | np.ndarray,
        spec: ClipSpec,
        hop: float | None = None,
        watch: Watch = lambda part: nullcontext(),
        album: Album | None = None,
    ) -> None:
        self._source: Any = source
        self._spec, self._watch, self._album = spec, watch, album
        self._in_memory: ArraySource | None = None
        with watch("decode"):
            self._describe(source)
        length, steps = self._window()
        room = max(self.frames - length, 0)
        starts = _starts(room, self._hop(hop, length, room))
        self._placements = starts[:, None] + steps
        ends = np.minimum(starts + length, self.frames)
        self.places = np.stack([starts, ends], axis=-1)
        self.spans = self._seconds[self.places]

    def __len__(self) -> int:
        return len(self._placements)

    def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the clips in batches; the last one may be smaller.

        Where a damaged file ends early, its last frame replaces the missing
        frames of a window, and windows that begin behind it are left out.

        Yields:
            A dict of arrays, the model's inputs.

        Raises:
            VideoError: If no frame can be decoded.
        """
        kept = KeptFlow(self._spec, self._album)
        for clip_frames in self._frames(size):
            yield self._cut(clip_frames, kept)

    def batches_ahead(
        self, size: int
    ) -> Generator[dict[str, np.ndarray], None, None]:
        """Yield `batches`, decoded and cut by two threads of their own.

        A batch is used while the flow of the next one is computed, and the
        one after that is decoded.

        Yields:
            As `batches`.

        Raises:
            VideoError: If no frame can be decoded.
        """
        if len(self) <= size:
            yield from self.batches(size)
            return
        with closing(ahead(self._clips_of(size))) as clips:
            yield from clips

    def _clips_of(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        kept = KeptFlow(self._spec, self._album)
        with closing(ahead(self._frames(size))) as batches:
            for clip_frames in batches:
                yield self._cut(clip_frames, kept)

    def _frames(self, size: int) -> Iterator[tuple[np.ndarray, ClipFrames]]:
        """Yield each batch's frames and their places in its clips."""
        reel = _Reel(self._decode())
        for first in range(0, len(self), size):
            with self._watch("decode"):
                numbers = self._chosen(first, size).needed
                reel.wind(numbers, self._begin(first + size))
                count = self._before(reel.end, first, size)
                chosen = self._chosen(first, count) if count else None
                frames = reel.take(chosen.needed) if chosen else None
            if chosen is None or frames is None:
                return
            yield frames, chosen

    def _cut(
        self, clip_frames: tuple[np.ndarray, ClipFrames], kept: KeptFlow
    ) -> dict[str, np.ndarray]:
        """Return a batch's clips, their flow included."""
        frames, chosen = clip_frames
        numbers = chosen.needed
        with self._watch("flow"):
            footage = Footage(
                frames,
                numbers,
                chosen,
                self._spec,
                lambda pairs: kept.of(pairs, numbers, frames),
            )
            return footage.crop(cropping.centre_of(footage.size, self._spec))

    def times(self, window: int) -> np.ndarray:
        """Return the seconds at which a window's steps begin, and its end.

        Returns:
            (T + 1,) seconds, ascending.
        """
        steps = np.append(self.steps(window), self.frames)
        seconds = self._seconds[np.minimum(steps, self.frames)]
        return np.minimum(seconds, self.spans[window, 1])

    def steps(self, window: int) -> np.ndarray:
        """Return the frame of each of a window's steps.

        Returns:
            (T,) ints, ascending; in a video shorter than a window also beyond
            its end.
        """
        return self._placements[window] + self._spec.rgb_frames()[0, 0]

    def _chosen(self, first: int, count: int) -> ClipFrames:
        placements = self._placements[first : first + count]
        return frames_of(placements, self.frames, self._spec)

    def _begin(self, window: int) -> int:
        """Return the first frame that this and later windows need."""
        if window >= len(self):
            return self.frames
        return int(self._chosen(window, 1).needed[0])

    def _before(self, end: int, first: int, size: int) -> int:
        """Count a batch's windows that begin before the end, at least one."""
        windows = range(first, min(first + size, len(self)))
        return sum(i == 0 or self._begin(i) <= end for i in windows)

    def _describe(self, source) -> None:
        if isinstance(source, str | os.PathLike):
            refuse_part(source)
            info = reading.probe(source)
            self.rate = self._spec.frame_rate or info.fps
            self._seconds = reading.frame_seconds(source, self._spec.frame_rate)
            self.frames = len(self._seconds) - 1
            self.truncated = info.truncated
            self.size = info.height, info.width
            return
        self._in_memory = ArraySource(source, self._spec)
        self.rate = self._spec.frame_rate or 25.0
        self.frames, self.truncated = self._in_memory.frames, False
        self._seconds = np.arange(self.frames + 1) / self.rate
        height, width = np.shape(source)[1:3]
        self.size = height, width

    def _window(self) -> tuple[int, np.ndarray]:
        """Return a window's length in frames, and its steps from its start."""
        spec = self._spec
        if spec.sampling in placement.OF_WHOLE_VIDEOS:
            length = min(self.frames, round(WHOLE_SECONDS * self.rate))
            return length, placement.views(length, spec)[0]
        stride = placement.fitting_stride(
            self.frames, spec, spec.temporal_stride
        )
        return spec.span(stride), np.arange(spec.clip_length) * stride

    def _hop(self, seconds: float | None, length: int, room: int) -> float:
        if seconds is not None:
            check_seconds("hop", seconds)
            return max(1.0, seconds * self.rate)
        if self._spec.clip_length >= LONG_CLIP:
            return float(length)
        apart = max(length / 2, SHORTEST_HOP * self.rate)
        return max(1.0, min(apart, room / FEWEST_WINDOWS))

    def _decode(self) -> Iterator[np.ndarray]:
        spec, in_memory = self._spec, self._in_memory
        if in_memory is not None:
            everything = range(self.frames)
            return (in_memory.read(np.array([n]))[0] for n in everything)
        return reading.iter_frames(
            os.fspath(self._source),
            rate=spec.frame_rate,
            **resizing.sizing(spec),
        )


def _starts(room: int, hop: float) -> np.ndarray:
    """Return even places from 0 to `room`, at most `hop` frames apart."""
    count = int(np.ceil(room / hop)) + 1
    return np.rint(np.linspace(0, room, count)).astype(int)


class _Reel:
    """A buffer of frames of a video that is read once, from start to end."""

    def __init__(self, frames: Iterator[np.ndarray]) -> None:
        self._frames = enumerate(frames)
        self._kept: dict[int, np.ndarray] = {}
        self._latest: tuple[int, np.ndarray] = (-1, np.empty(0))

    @property
    def end(self) -> int:
        """Number of the last frame that was read."""
        return self._latest[0]

    def wind(self, numbers: np.ndarray, later: int) -> None:
        """Read up to the last of these ascending numbers, if there is one.

        Args:
            numbers: Numbers of the frames.
            later: The lowest number that will be asked for after these;
                other frames before it are not kept.
        """
        wanted = set(numbers.tolist())
        kept = self._kept.items()
        self._kept = {n: f for n, f in kept if n in wanted or n >= later}
        while numbers[-1] > self.end:
            latest = next(self._frames, None)
            if latest is None:
                break
            self._latest = number, frame = latest
            if number in wanted or number >= later:
                self._kept[number] = frame

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return frames already read; the last one replaces any behind it."""
        last = self._latest[1]
        return np.stack([self._kept.get(n, last) for n in numbers])
