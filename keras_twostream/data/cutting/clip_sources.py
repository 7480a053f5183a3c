"""Cutting clips: from frames, or a file, to the arrays that a model eats."""

import os
from typing import Any, Protocol

import numpy as np

from keras_twostream.data import layouts
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cache.packed import is_packed
from keras_twostream.data.cutting import cropping, placement
from keras_twostream.data.cutting.clip_frames import frames_of
from keras_twostream.data.cutting.footage import footage_of
from keras_twostream.data.video import packets, reading, resizing
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec


class Source(Protocol):
    """Something that has frames at a spec's rate and size."""

    frames: int

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 frames."""


class FileSource:
    """A video file at the rate and size that a spec asks for."""

    def __init__(self, path: str | os.PathLike, spec: ClipSpec):
        self._path, self._spec = path, spec
        self.frames = reading.count_frames(path, spec.frame_rate)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 frames."""
        return reading.read_frames(
            self._path,
            indices,
            rate=self._spec.frame_rate,
            short_side=self._spec.short_side,
            resize_to=self._spec.resize_to,
        )


class ArraySource:
    """Frames in memory, taken to be at the spec's rate already."""

    def __init__(self, frames: np.ndarray, spec: ClipSpec):
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise SpecError(
                "Frames must be a (T, H, W, 3) array, RGB, 0..255. "
                f"Received: shape={frames.shape}"
            )
        if frames.dtype != np.uint8:
            frames = _as_bytes(frames)
        self._all, self._spec = frames, spec
        self.frames = len(frames)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 frames."""
        return resizing.resize_all(
            self._all[indices], self._spec.short_side, self._spec.resize_to
        )


def clips(
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    count: int | None = 1,
    protocol: str | None = None,
    crops: str = "centre",
    short: str = "loop",
    bound: float = layouts.BOUND,
) -> dict[str, np.ndarray]:
    """The clips that a video is tested on, as arrays.

    Args:
        source: A video file, a packed file, a folder of frames and flow
            (see `data.layouts`), or (T, H, W, 3) RGB frames, 0..255, at the
            spec's frame rate.
        spec: The clip.
        count: How many clips; None covers the video (only "dense").
        protocol: How clips are placed: "uniform", "dense", "segments" or
            "whole"; `spec.sampling` when None.
        crops: "centre", "3-crop", "4-crop", "10-crop", "whole" or
            "whole_mirrored".
        short: What a video shorter than the clip does: "loop" or "pad".
        bound: Pixels that the extreme levels of another tool's flow mean.

    Returns:
        One array per stream of the spec: "rgb" (N, T, H, W, 3F) uint8,
        "flow" (N, T, H, W, 2L) float32 in pixels. N is clips times crops;
        the crops of one clip stand together.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If an argument is not as above.

    Example:
        >>> clips("video.mp4", spec, count=10, crops="3-crop")
    """
    footage, wanted = view_footage(
        source, spec, count, protocol, crops, short, bound
    )
    views = [footage.crop(crop) for crop in wanted]
    return {
        stream: np.stack([view[stream] for view in views], axis=1).reshape(
            -1, *views[0][stream].shape[1:]
        )
        for stream in spec.streams
    }


def view_footage(
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    count: int | None = 1,
    protocol: str | None = None,
    crops: str = "centre",
    short: str = "loop",
    bound: float = layouts.BOUND,
) -> tuple[Any, list[cropping.Crop]]:
    """What `clips` cuts, and the crops: for many views, one after the other.

    Args:
        source: As all others, see `clips`.
        spec: The clip.
        count: How many clips.
        protocol: How clips are placed.
        crops: Name of the crops.
        short: What a video shorter than the clip does.
        bound: Pixels that the extreme levels of another tool's flow mean.

    Returns:
        Footage, whose `crop(crop)` gives the clips (count, T, H, W, C) of
        each stream, and the crops to take.
    """
    opened = open_source(source, spec, bound)
    placements = placement.views(opened.frames, spec, count, protocol)
    chosen = frames_of(placements, opened.frames, spec, short)
    footage = footage_of(opened, chosen, spec)
    return footage, cropping.view_crops(*footage.size, spec.crop, crops)


def open_source(
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    bound: float = layouts.BOUND,
):
    """A `Source` for a path or for frames in memory.

    Args:
        source: As in `clips`.
        spec: The clip.
        bound: Pixels that the extreme levels of another tool's flow mean.
    """
    if not isinstance(source, str | os.PathLike):
        return ArraySource(source, spec)
    if is_packed(source):
        return PackedSource(source, spec)
    if os.path.isdir(source):
        return layouts.LayoutSource(source, spec, bound)
    if os.fspath(source).endswith(".npy"):
        return layouts.NpySource(source, spec, bound)
    return FileSource(source, spec)


def is_extracted(path: str) -> bool:
    """Whether a path holds frames and flow rather than a video."""
    return is_packed(path) or os.path.isdir(path) or path.endswith(".npy")


def check_source(path: str, spec: ClipSpec, look_inside: bool) -> None:
    """Refuses what cannot be read, as far as a quick look tells.

    Args:
        path: As in `open_source`.
        spec: The clip.
        look_inside: Whether a video file is opened.

    Raises:
        VideoError: If the path cannot be read.
        SpecError: If it is a cache that was made for other clips.
    """
    if is_extracted(path):
        open_source(path, spec)
    elif look_inside:
        reading.probe(path)
    else:
        packets.check_file(path)


def _as_bytes(frames: np.ndarray) -> np.ndarray:
    low, high = float(frames.min()), float(frames.max())
    if low < 0 or high > 255 or (frames.dtype.kind == "f" and 0 < high <= 1):
        raise SpecError(
            "Frames must hold values 0..255. "
            f"Received: values from {low:g} to {high:g}. Multiply frames "
            "in 0..1 by 255."
        )
    return np.rint(frames).astype(np.uint8)
