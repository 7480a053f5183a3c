"""The interface of videos, packed files and folders of frames."""

import abc
import dataclasses
import os
import re
from typing import ClassVar

import numpy as np

from keras_twostream.errors import SpecError, VideoError

_FRAGMENT = re.compile(r"#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$")


@dataclasses.dataclass(frozen=True)
class Part:
    """A file or an interval of it in seconds.

    A path may end in an interval as a media fragment (W3C Media Fragments URI
    1.0): `video.mp4#t=12.5,20`.

    Attributes:
        path: The file or folder.
        start: First second.
        end: Last second, None for the whole file.
    """

    path: str
    start: float = 0.0
    end: float | None = None

    @classmethod
    def of(cls, path: str) -> "Part":
        """Return the part of a path with or without a fragment, or `~`."""
        path = os.path.expanduser(path)
        match = _FRAGMENT.search(path)
        if match is None:
            return cls(path)
        return cls(path[: match.start()], float(match[1]), float(match[2]))

    def __str__(self) -> str:
        if self.end is None:
            return self.path
        return f"{self.path}#t={_plain(self.start)},{_plain(self.end)}"


def refuse_part(path: str | os.PathLike) -> None:
    """Refuse a part of a video where whole ones are read.

    Raises:
        VideoError: If it is one; the message says how to cut it out.
    """
    part = Part.of(os.fspath(path))
    if part.end is None or os.path.exists(path):
        return
    raise VideoError(
        f"Cannot read {part}: it is a part, and whole videos are read here. "
        "Give the whole file, or a file of the part alone: ffmpeg -i "
        f"{part.path} -ss {part.start:g} -to {part.end:g} PART.mp4"
    )


class Source(abc.ABC):
    """Frames at a clip's rate and size, and flow if it is stored with them.

    Attributes:
        frames: Number of frames in the part that clips are cut from.
        first: Number of that part's first frame.
        rate: Frames per second; None where unknown.
        size: (height, width), only if `has_fields`.
        has_fields: Whether flow is read by `fields` rather than computed.
    """

    frames: int
    first: int = 0
    rate: float | None = None
    size: tuple[int, int]
    has_fields: ClassVar[bool] = False

    @abc.abstractmethod
    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return (N, H, W, 3) uint8 frames."""

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """Return (N, H, W, 2) float32 flow of (N, 2) pairs of frame numbers.

        A frame paired with itself has no motion.

        Raises:
            SpecError: If a pair is not one frame and the next.
            VideoError: If a field is missing or damaged.
        """
        raise NotImplementedError

    def keep(self, part: Part) -> None:
        """Cut clips from some seconds only.

        Raises:
            SpecError: If the frame rate is unknown.
            VideoError: If there is no frame in that part.
        """
        if part.end is None:
            return
        if self.rate is None:
            raise SpecError(
                f"{part} is a part in seconds, and nothing tells its frame "
                "rate. Give the clip one, such as frame_rate=25."
            )
        first, end = (round(x * self.rate) for x in (part.start, part.end))
        self._keep(part, first, end, self.frames / self.rate)

    def _keep(self, part: Part, first: int, end: int, seconds: float) -> None:
        end = min(end, self.frames)
        if first >= end:
            raise VideoError(
                f"Cannot read {part}: {part.path} has no frame there; it "
                f"lasts {seconds:.2f} s. Correct the list."
            )
        self.first, self.frames = first, end - first


def check_adjacent(pairs: np.ndarray, where: str) -> None:
    """Refuse pairs of frames that are neither equal nor adjacent.

    Raises:
        SpecError: If there is such a pair.
    """
    steps = pairs[:, 1] - pairs[:, 0]
    if not np.isin(steps, (0, 1)).all():
        raise SpecError(
            f"{where} holds flow from each frame to the next. Received: pairs "
            f"{np.unique(steps).tolist()} frames apart; read the videos."
        )


def _plain(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
