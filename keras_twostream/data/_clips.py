"""Cutting clips: from frames, or a file, to the arrays that a model eats."""

import os
from collections.abc import Callable
from typing import Protocol

import numpy as np

from keras_twostream import flow
from keras_twostream.data import (
    _augment,
    _crops,
    _frames,
    _sampling,
    _scan,
    _video,
    layouts,
)
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cache._packed import is_packed
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
        self.frames = _video.count_frames(path, spec.frame_rate)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 frames."""
        return _video.read_frames(
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
        return _frames.resize_all(
            self._all[indices], self._spec.short_side, self._spec.resize_to
        )


def clips(
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    count: int | None = 1,
    protocol: str | None = None,
    crops: str = "centre",
    short: str = "loop",
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
    opened = open_source(source, spec)
    placements = _sampling.views(opened.frames, spec, count, protocol)
    chosen = _sampling.frames_of(placements, opened.frames, spec, short)
    footage = footage_of(opened, chosen, spec)
    views = [
        footage.crop(crop)
        for crop in _crops.view_crops(*footage.size, spec.crop, crops)
    ]
    return {
        stream: np.stack([view[stream] for view in views], axis=1).reshape(
            -1, *views[0][stream].shape[1:]
        )
        for stream in spec.streams
    }


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
        return layouts.NpySource(source, spec)
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
        _video.probe(path)
    else:
        _scan.check_file(path)


def footage_of(
    source: Source, chosen: _sampling.ClipFrames, spec: ClipSpec
) -> "Footage":
    """The footage of some clips, with flow from disk where it is there."""
    if not hasattr(source, "fields"):
        numbers = chosen.needed
        return Footage(source.read(numbers), numbers, chosen, spec)
    shown = np.empty(0, int) if chosen.rgb is None else np.unique(chosen.rgb)
    frames = np.empty((0, *source.size, 3), np.uint8)
    if len(shown):
        frames = source.read(shown)
    return Footage(frames, shown, chosen, spec, source.fields)


class Footage:
    """Decoded frames of some clips, with their flow, ready to be cropped.

    Frames and fields that several steps or clips share are there once:
    cropping works on the distinct ones, and steps are gathered at the end.

    Args:
        frames: (N, H, W, 3) uint8, decoded and resized.
        numbers: (N,) which frames of the video these are, ascending.
        chosen: The frames that the clips take.
        spec: The clip.
        fields_of: From (M, 2) pairs of frames of the video to their flow;
            computed from `frames` when None.
    """

    def __init__(
        self,
        frames: np.ndarray,
        numbers: np.ndarray,
        chosen: _sampling.ClipFrames,
        spec: ClipSpec,
        fields_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self._spec = spec
        self.size = frames.shape[1:3]
        self._frames = self._fields = None
        if chosen.rgb is not None:
            shown, self._steps = _distinct(chosen.rgb)
            self._frames = frames[np.searchsorted(numbers, shown)]
        if chosen.pairs is not None:
            distinct, self._places = _distinct_pairs(chosen.pairs)
            if fields_of is not None:
                self._fields = fields_of(distinct)
                return
            self._fields = flow.compute_pairs(
                frames,
                np.searchsorted(numbers, distinct),
                spec.flow_algorithm,
                **spec.flow_parameters,
            )

    def crop(
        self,
        crop: _crops.Crop,
        colour: np.ndarray | None = None,
        flow_values: str = "scaled",
    ) -> dict[str, np.ndarray]:
        """The clips under one crop.

        Args:
            crop: The rectangle, for all frames of both streams.
            colour: (3, 4) matrix of `draw_colour`, or None.
            flow_values: "scaled" or "unscaled", see `crop_flow`.

        Returns:
            "rgb" (..., T, H, W, 3F) uint8 and/or "flow" (..., T, H, W, 2L)
            float32, with the leading axes of the placements.
        """
        clip = {}
        if self._frames is not None:
            frames = _crops.crop_rgb(self._frames, crop)
            if colour is not None:
                frames = _augment.apply_colour(frames, colour)
            clip["rgb"] = _on_channels(frames, self._steps)
        if self._fields is not None:
            fields = _crops.crop_flow(self._fields, crop, flow_values)
            clip["flow"] = self._stack(fields)
        return clip

    def _stack(self, fields: np.ndarray) -> np.ndarray:
        if self._spec.stacking != "trajectory":
            return _on_channels(fields, self._places)
        flat = fields[self._places].reshape(
            -1, self._spec.flow_length, *fields.shape[1:]
        )
        stacked = np.stack([flow.stack(each, "trajectory") for each in flat])
        return stacked.reshape(*self._places.shape[:-1], *stacked.shape[1:])


def _on_channels(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, H, W, C) at `places` (..., K), to (..., H, W, K*C)."""
    *leading, count = places.shape
    if count == 1:
        return images[places[..., 0]]
    # A displacement is moved as one item of 8 bytes: several times faster.
    whole = images.dtype == np.float32 and images.shape[-1] == 2
    pixels = images.view(np.float64) if whole else images
    result = np.empty(
        (*leading, *pixels.shape[1:3], count, pixels.shape[-1]), pixels.dtype
    )
    for place in np.ndindex(*leading):
        for k, number in enumerate(places[place]):
            result[(*place, ..., k, slice(None))] = pixels[number]
    return result.reshape(*result.shape[:-2], -1).view(images.dtype)


def _distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, places = np.unique(numbers, return_inverse=True)
    return distinct, places.reshape(numbers.shape)


def _distinct_pairs(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, places = np.unique(
        pairs.reshape(-1, 2), axis=0, return_inverse=True
    )
    return distinct, places.reshape(pairs.shape[:-1])


def _as_bytes(frames: np.ndarray) -> np.ndarray:
    low, high = float(frames.min()), float(frames.max())
    if low < 0 or high > 255 or (frames.dtype.kind == "f" and 0 < high <= 1):
        raise SpecError(
            "Frames must hold values 0..255. "
            f"Received: values from {low:g} to {high:g}. Multiply frames "
            "in 0..1 by 255."
        )
    return np.rint(frames).astype(np.uint8)
