"""Frames, files and folders of files drawn from a label and a seed."""

import json
import numbers
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from rich.progress import Progress

from keras_twostream import _files
from keras_twostream._opencv import cv2
from keras_twostream._processes import FreshProcesses
from keras_twostream.actors.classes import CLASSES
from keras_twostream.actors.motions import FPS
from keras_twostream.actors.painting import paint
from keras_twostream.actors.scene import SPLITS, open_scene
from keras_twostream.data.video.encoders import first_encoder, video_stream
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    check_count,
    did_you_mean,
)

# H.264 needs a GPL build of FFmpeg; an .mp4 file holds VP9 as well.
_ENCODERS = {
    "libx264": {"preset": "ultrafast"},
    "libvpx-vp9": {"b": "0", "cpu-used": "8"},
}


def render(
    label: str | int,
    seed: int = 0,
    split: str = "train",
    index: int = 0,
    size: tuple[int, int] = (120, 160),
) -> np.ndarray:
    """Draw one clip, a pure function of its arguments.

    The same seed, split and index with another label gives the same person
    at the same place; the two labels of a motion pair give the same frames
    in opposite order.

    Args:
        label: One of `CLASSES`, or its place there.
        seed: Seed of the whole data set.
        split: "train" or "test"; they share no person and no wall.
        index: Number of the clip in the split.
        size: (height, width) in pixels, both even.

    Returns:
        (T, height, width, 3) uint8 RGB, 32 to 64 frames at 25 a second.

    Raises:
        UnknownNameError: If there is no such label or split.
        SpecError: If H.264 cannot hold the size, or seed or index are no whole
            numbers, 0 or more.
    """
    return _draw(label, seed, split, index, size)[0]


def write_clip(
    path: str | os.PathLike,
    label: str | int,
    seed: int = 0,
    split: str = "train",
    index: int = 0,
    size: tuple[int, int] = (120, 160),
) -> Path:
    """Draw one clip into a video file: H.264, or VP9 where FFmpeg lacks it.

    The rate factor is drawn from 18..34 with the rest of the scene. The
    file appears under its name only when it is whole.

    Args:
        path: File to write; `generate` uses ".mp4".
        label, seed, split, index, size: As for `render`.

    Returns:
        The path.

    Raises:
        MissingLibraryError: If FFmpeg can write neither.
    """
    path = _files.expanded(path)
    frames, crf = _draw(label, seed, split, index, size)
    encode_clip(path, frames, crf)
    return path


def encode_clip(path: Path, frames: np.ndarray, crf: int) -> None:
    """Write frames into a video file that appears when it is whole."""
    with _files.writing(path) as file:
        _encode(file, frames, crf)


def generate(
    folder: str | os.PathLike,
    count: int,
    split: str = "train",
    seed: int = 0,
    workers: int | None = None,
    size: tuple[int, int] = (120, 160),
    progress: bool | Callable[[int, int], None] = True,
) -> list[tuple[Path, int]]:
    """Write a balanced split: `folder/split/class/split_index.mp4`.

    Files that exist are kept, so that an interrupted run can be repeated.
    `folder/split.json` and `folder/split.csv` list path and class name, with
    paths relative to `folder`; `read_annotations` reads both, and the JSON
    list keeps the order of `CLASSES`.

    Args:
        folder: Folder for the data set.
        count: Number of clips; clip i has class i modulo 17.
        split: "train" or "test".
        seed: Seed of the whole data set.
        workers: Number of processes; None means one per core, 0 means no
            process but this one.
        size: (height, width) in pixels.
        progress: Show a bar, or call this with (done, count).

    Returns:
        (path, label index) of every clip, in the order of their index.

    Raises:
        SpecError: If `count` is not positive, or the folder holds clips of
            this split that were drawn with another seed or size.
    """
    check_count("count", count)
    folder = _files.expanded(folder)
    check_scene(seed, split, 0, size)
    drawn = {"seed": seed, "size": list(size)}
    claim(folder, split, drawn)
    clips = [_place(folder, split, index) for index in range(count)]
    jobs = [
        (path, label, seed, split, index, size)
        for index, (path, label) in enumerate(clips)
        if not path.exists()
    ]
    with _Reporter(progress, f"actors {split}") as report:
        report(count - len(jobs), count)
        for done, _ in enumerate(_work(jobs, workers), 1):
            report(count - len(jobs) + done, count)
    _annotate(folder, split, clips, drawn)
    return clips


def _draw(label, seed, split, index, size) -> tuple[np.ndarray, int]:
    name = _class_name(label)
    check_scene(seed, split, index, size)
    scene, pose, order = open_scene(name, seed, split, index, tuple(size))
    return paint(scene, pose, name, order), scene.crf


def check_scene(seed: int, split: str, index: int, size: Any) -> None:
    """Refuse what no clip can be drawn from.

    Raises:
        UnknownNameError: If the split is neither "train" nor "test".
        SpecError: If seed or index are no whole numbers, 0 or more, or H.264
            cannot hold frames of this size.
    """
    if split not in SPLITS:
        raise UnknownNameError(
            f"No split {split!r} in actors.{did_you_mean(split, SPLITS)}"
        )
    check_count("seed", seed, least=0)
    check_count("index", index, least=0)
    sides = tuple(size) if isinstance(size, Iterable) else ()
    whole = all(isinstance(side, numbers.Integral) for side in sides)
    if len(sides) != 2 or not whole or any(n % 2 or n < 32 for n in sides):
        raise SpecError(
            "Actors are drawn in even sizes of 32 pixels or more, which "
            f"H.264 can hold. Received: size={size!r}. Try size=(120, 160)."
        )


def _class_name(label: str | int) -> str:
    if isinstance(label, str):
        if label in CLASSES:
            return label
        hint = did_you_mean(label, CLASSES)
        raise UnknownNameError(f"No action {label!r} in actors.{hint}")
    if isinstance(label, numbers.Integral) and 0 <= label < len(CLASSES):
        return CLASSES[label]
    raise UnknownNameError(
        f"Actors have classes 0 to {len(CLASSES) - 1}. Received: {label!r}."
    )


def _place(folder: Path, split: str, index: int) -> tuple[Path, int]:
    label = index % len(CLASSES)
    name = f"{split}_{index:06d}.mp4"
    return folder / split / CLASSES[label] / name, label


def claim(folder: Path, split: str, drawn: dict[str, Any]) -> None:
    """Refuse to mix data sets; the list tells how its clips are drawn.

    It does so from the first clip on: a run may be stopped.

    Args:
        folder: Folder of the data set.
        split: "train" or "test".
        drawn: What the clips depend on, as JSON has it.

    Raises:
        SpecError: If the folder holds clips of this split that were drawn in
            another way.
    """
    listed = folder / f"{split}.json"
    if not listed.exists():
        _files.write_json(listed, {"drawn": drawn, "items": []})
    try:
        before = json.loads(listed.read_text("utf-8"))["drawn"]
    except (KeyError, TypeError, ValueError):
        return
    if before != drawn:
        raise SpecError(
            f"{folder / split} holds actors drawn with {_words(before)}. "
            f"Received: {_words(drawn)}. Choose another folder."
        )


def _words(drawn: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in drawn.items())


def _encode(file: BinaryIO, frames: np.ndarray, crf: int) -> None:
    encoder = first_encoder(_ENCODERS)
    options = {**_ENCODERS[encoder], "crf": str(crf), "threads": "1"}
    with av.open(file, "w", format="mp4") as container:
        stream = video_stream(container, encoder, FPS, options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _work(jobs, workers: int | None):
    """Run the jobs here, or in processes that import no Keras."""
    if workers == 0 or len(jobs) < 8:
        for job in jobs:
            yield _job(job)
        return
    start = FreshProcesses()
    # OpenCV's own threads would fight with the processes for the cores.
    with ProcessPoolExecutor(workers, start, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(_job, jobs, chunksize=8)


def _job(arguments) -> Path:
    return write_clip(*arguments)


def _annotate(folder: Path, split: str, clips, drawn: dict) -> None:
    """Write both lists; only the JSON one keeps the order of classes."""
    rows = [
        {"path": path.relative_to(folder).as_posix(), "label": CLASSES[label]}
        for path, label in clips
    ]
    _files.write_table(folder / f"{split}.csv", rows)
    content = {"classes": CLASSES, "drawn": drawn, "items": rows}
    _files.write_json(folder / f"{split}.json", content)


class _Reporter:
    """A progress bar, a caller's function, or silence, as asked."""

    def __init__(self, progress, title: str):
        self.bar, self.title = None, title
        self.call = progress if callable(progress) else None
        if progress is True:
            self.bar = Progress(transient=True)

    def __enter__(self):
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=None)
        return self._report

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def _report(self, done: int, count: int) -> None:
        if self.bar:
            self.bar.update(self.task, completed=done, total=count)
        if self.call:
            self.call(done, count)
