"""Small sets of real videos, made of the six classes of UCF-101.

Folders of one folder of videos per class, which `train` and `evaluate` take.
What is there already is not made again.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

import keras_twostream as kts

SIZE = (128, 96)
RATE = 25
WAYS = tuple(itertools.product(("forwards", "backwards"), "nm"))
_PAIRS = 12  # of frames, that tell which way a clip moves
_MOVING = 0.2  # pixels a frame, at SIZE; slower clips move neither way

# Recordings of UCF-101 that its first split tests on.
_TESTED = tuple(f"_g{number:02d}_" for number in range(1, 8))


def is_tested(video: Path) -> bool:
    """Return whether a video is of a recording that is left for tests."""
    return any(group in video.name for group in _TESTED)


def linked(videos: Iterable[Path], folder: Path) -> Path:
    """Link videos into one folder for each class."""
    for path in videos:
        place = folder / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(path.resolve())
    return folder


def left_and_right(videos: Iterable[Path], folder: Path) -> Path:
    """Write the videos in which most of the picture moves sideways.

    The class is left or right. Each is played in one of four ways, by turns:
    forwards or backwards, as it is or mirrored; so what is seen in a frame
    says nothing about the class.
    """
    done = folder / "done"
    if done.exists():
        return folder
    ways: Iterator[tuple[str, str]] = itertools.cycle(WAYS)
    for path in videos:
        frames = small(path)
        if abs(sideways(frames)) < _MOVING:
            continue
        way, mirrored = next(ways)
        frames = played(frames, way, mirrored)
        label = "right" if sideways(frames) > 0 else "left"
        write(folder / label / f"{path.stem}.mp4", frames)
    done.touch()
    return folder


def played(frames: np.ndarray, way: str, mirrored: str) -> np.ndarray:
    """Return frames in one of `WAYS`."""
    frames = frames[::-1] if way == "backwards" else frames
    return frames[:, :, ::-1] if mirrored == "m" else frames


def sideways(frames: np.ndarray) -> float:
    """Return the median motion to the right, in pixels a frame."""
    starts = np.linspace(0, len(frames) - 2, _PAIRS).astype(int)
    pairs = np.stack([starts, starts + 1], axis=1)
    fields = kts.flow.compute_pairs(frames, np.unique(pairs, axis=0))
    return float(np.median(fields[..., 0]))


def small(path: Path) -> np.ndarray:
    """Return all frames at `SIZE`."""
    frames = kts.data.read_frames(path)
    return np.stack(
        [cv2.resize(x, SIZE, interpolation=cv2.INTER_AREA) for x in frames]
    )


def write(path: Path, frames: np.ndarray, rate: int = RATE) -> None:
    """Write a file, which gets its name when it is whole.

    Args:
        path: The file.
        frames: (T, H, W, 3) uint8, both sides even, as H.264 wants them.
        rate: Frames a second.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            picture = np.ascontiguousarray(picture)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    part.rename(path)
