"""Tracks and tubes: one box in each of some frames, with a label."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream.detection.geometry import aligned_overlaps, as_boxes
from keras_twostream.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Track:
    """The boxes of one thing over time.

    Attributes:
        label: Its action.
        frames: (T,) numbers of the frames, ascending.
        boxes: (T, 4) float32, inclusive, in pixels of the video.

    Raises:
        SpecError: If frames and boxes do not match, or the label is no name.
    """

    label: str
    frames: np.ndarray
    boxes: np.ndarray

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label:
            raise SpecError(
                "The label of a track is the name of its action. Received: "
                f"label={self.label!r}"
            )
        frames = _whole_numbers(self.frames)
        boxes = as_boxes(self.boxes, f"The boxes of {self.label!r}")
        if not len(frames) or len(frames) != len(boxes):
            raise SpecError(
                "A track has one box in each of its frames, and one frame at "
                f"least. Received: {len(frames)} frames, {len(boxes)} boxes"
            )
        if (np.diff(frames) <= 0).any():
            raise SpecError(
                "The frames of a track ascend, each named once. Received: "
                f"frames={frames[:10].tolist()}..."
            )
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "boxes", boxes)

    def __len__(self) -> int:
        return len(self.frames)

    def box_at(self, frame: int) -> np.ndarray | None:
        """Return the (4,) box in a frame, or None without one."""
        place = np.searchsorted(self.frames, frame)
        if place < len(self) and self.frames[place] == frame:
            return self.boxes[place]
        return None


def _whole_numbers(frames: Any) -> np.ndarray:
    numbers = np.asarray(frames).reshape(-1)
    whole = numbers.astype(int) if np.isfinite(numbers).all() else None
    if whole is None or (whole != numbers).any() or (whole < 0).any():
        raise SpecError(
            "The frames of a track are whole numbers, counted from 0. "
            f"Received: frames={numbers[:10].tolist()}..."
        )
    return whole


@dataclasses.dataclass(frozen=True)
class Tube(Track):
    """A detected track with its scores.

    Attributes:
        score: Score of the path: the sum over its edges of both boxes'
            scores and their overlap, divided by its length (section 4.2 of
            the paper); the box's own score if it is a single one.
        scores: (T,) score of each box.
        seconds: Start and end in seconds of the video, or None if unknown.
    """

    score: float
    scores: np.ndarray
    seconds: tuple[float, float] | None = None

    @property
    def confidence(self) -> float:
        """Mean score of the boxes; above 0, the classifier accepts the tube."""
        return float(np.mean(self.scores))

    def to_json(self) -> dict[str, Any]:
        """Return the tube as JSON-compatible values."""
        values = {
            "label": self.label,
            "score": round(self.score, 4),
            "confidence": round(self.confidence, 4),
            "frames": self.frames.tolist(),
            "boxes": np.round(self.boxes, 1).tolist(),
            "scores": np.round(self.scores, 4).tolist(),
        }
        if self.seconds is not None:
            start, end = self.seconds
            values |= {"start": round(start, 3), "end": round(end, 3)}
        return values


def track_overlap(first: Track, second: Track) -> float:
    """Return the mean overlap of two tracks over all frames of either.

    Frames in only one of the tracks count as 0.
    """
    _, mine, theirs = np.intersect1d(
        first.frames, second.frames, assume_unique=True, return_indices=True
    )
    shared = aligned_overlaps(first.boxes[mine], second.boxes[theirs])
    return float(shared.sum() / (len(first) + len(second) - len(mine)))


# === From the rows of lists ===

Rows = Mapping[tuple[str, Any], Sequence[tuple[int, Sequence[float]]]]


def tracks_of(rows: Rows, path: Path) -> tuple[Track, ...]:
    """Return the tracks of (frame, x, y, width, height) rows.

    The rows are grouped by (label, number)."""
    tracks = []
    for (label, number), boxes in rows.items():
        ordered = sorted(boxes, key=lambda row: row[0])
        frames = [frame for frame, _ in ordered]
        if len(set(frames)) != len(frames):
            raise SpecError(
                f"{path}: the track {number} ({label}) has two boxes in one "
                "frame. Give each person a track of their own."
            )
        for frame, box in ordered:
            if len(box) != 4:
                raise SpecError(
                    f"{path}: the track {number} ({label}) has in frame "
                    f"{frame} the box {box}, and not x, y, width, height."
                )
        sizes = np.array([box for _, box in ordered], float)
        wrong = (sizes[:, 2:] <= 0).any(axis=1) | ~np.isfinite(sizes).all(1)
        if wrong.any():
            raise SpecError(
                f"{path}: the track {number} ({label}) has a box without "
                f"area in frame {frames[int(wrong.argmax())]}: x, y, width, "
                f"height = {sizes[wrong][0].tolist()}."
            )
        sizes[:, 2:] = np.maximum(sizes[:, 2:], 1)
        corners = np.concatenate(
            [sizes[:, :2], sizes[:, :2] + sizes[:, 2:] - 1], axis=1
        )
        tracks.append(Track(label, np.array(frames), corners))
    return tuple(tracks)
