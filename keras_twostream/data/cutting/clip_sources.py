"""Clips of frames or a file, as arrays for a model."""

import contextlib
import dataclasses
import os
from collections.abc import Callable

import numpy as np

from keras_twostream._frames import video_of
from keras_twostream.data import layouts
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cache.packed_file import is_packed
from keras_twostream.data.cutting import cropping, placement
from keras_twostream.data.cutting.footage import Footage, footage_of
from keras_twostream.data.cutting.packed_footage import PackedFootage
from keras_twostream.data.source import Part, Source
from keras_twostream.data.video import opening, reading, resizing
from keras_twostream.data.video.boundary import one_file
from keras_twostream.errors import check_number
from keras_twostream.spec import ClipSpec

Opener = Callable[[str], Source]  # `open_source` for a spec


@dataclasses.dataclass(frozen=True)
class Views:
    """The number, placement and crops of a video's test clips.

    Attributes:
        count: Number of clips; None covers the video (only "dense").
        protocol: Placement of the clips: "uniform", "dense", "segments" or
            "whole"; the spec's sampling when None.
        crops: "centre", "3-crop", "4-crop", "10-crop", "18-crop", "whole" or
            "whole_mirrored".
        short: Extension of a video shorter than the clip, "loop" or "pad".
        bound: Displacement in pixels at the extreme levels of another tool's
            flow.
        step: Frames from one dense clip to the next; the clip's span when
            None.
    """

    count: int | None = 1
    protocol: str | None = None
    crops: str = "centre"
    short: str = "loop"
    bound: float = layouts.BOUND
    step: int | None = None

    def __post_init__(self) -> None:
        check_number("bound", self.bound)


DEFAULT_VIEWS = Views()


def clips(
    source: str | os.PathLike[str] | np.ndarray,
    spec: ClipSpec,
    count: int | None = 1,
    protocol: str | None = None,
    crops: str = "centre",
    short: str = "loop",
    bound: float = layouts.BOUND,
    step: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the test clips of a video.

    Args:
        source: A video file, a packed file, a folder of frames and flow
            (see `data.layouts`), or (T, H, W, 3) RGB frames, 0..255, at the
            spec's frame rate. A path that ends in `#t=12.5,20` means these
            seconds of the file.
        spec: The clip.
        count: Number of clips; None covers the video (only "dense").
        protocol: Placement of the clips: "uniform", "dense", "segments" or
            "whole"; `spec.sampling` when None.
        crops: "centre", "3-crop", "4-crop", "10-crop", "18-crop", "whole"
            or "whole_mirrored".
        short: Extension of a video shorter than the clip, "loop" or "pad".
        bound: Displacement in pixels at the extreme levels of another tool's
            flow.
        step: Frames from one dense clip to the next; the clip's span when
            None.

    Returns:
        One array per stream of the spec: "rgb" (N, T, H, W, 3F) uint8,
        "flow" (N, T, H, W, 2L) float32 in pixels. N is clips times crops;
        the crops of one clip stand together.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If an argument is invalid.

    Example:
        >>> clips("video.mp4", spec, count=10, crops="3-crop")
    """
    views = Views(count, protocol, crops, short, bound, step)
    return view_clips(source, spec, views)


def view_clips(
    source: str | os.PathLike[str] | np.ndarray, spec: ClipSpec, views: Views
) -> dict[str, np.ndarray]:
    """Return the test clips of a video, as `clips` does."""
    with _boundary(source):
        footage, chosen = view_footage(source, spec, views)
        by_crop = [footage.crop(crop) for crop in chosen]
    return {
        stream: np.stack([clip[stream] for clip in by_crop], axis=1).reshape(
            -1, *by_crop[0][stream].shape[1:]
        )
        for stream in spec.streams
    }


def view_footage(
    source: str | os.PathLike[str] | np.ndarray,
    spec: ClipSpec,
    views: Views = DEFAULT_VIEWS,
) -> tuple[Footage | PackedFootage, list[cropping.Crop]]:
    """Return the footage and the crops of `clips`, to crop one by one.

    Args:
        source: As in `clips`.
        spec: The clip.
        views: The choice of clips and crops.

    Returns:
        Footage, whose `crop(crop)` gives the clips (count, T, H, W, C) of
        each stream, and the crops.
    """
    with _boundary(source):
        opened = open_source(source, spec, views.bound)
    places = placement.views(
        opened.frames, spec, views.count, views.protocol, views.step
    )
    with _boundary(source):
        footage = footage_of(opened, places, spec, views.short)
    height, width = footage.size
    crops = cropping.view_crops(
        height, width, spec.crop, views.crops, spec.crop_rounding
    )
    return footage, crops


def _boundary(
    source: str | os.PathLike[str] | np.ndarray,
) -> contextlib.AbstractContextManager[None]:
    """Return a context that turns errors of a file into a `VideoError`."""
    if isinstance(source, str | os.PathLike):
        return one_file(source)
    return contextlib.nullcontext()


# === Sources ===


class FileSource(Source):
    """A video file at the rate and size that a spec asks for.

    Args:
        path: The file.
        spec: The clip.

    Raises:
        VideoError: If the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], spec: ClipSpec) -> None:
        self._path, self._spec = path, spec
        self.frames = reading.count_frames(path, spec.frame_rate)
        self.rate = spec.frame_rate

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        return reading.read_frames(
            self._path,
            indices,
            rate=self._spec.frame_rate,
            **resizing.sizing(self._spec),
        )

    def keep(self, part: Part) -> None:
        """Cut clips from some seconds only, see `Source.keep`."""
        if part.end is None or self.rate is not None:
            super().keep(part)
            return
        seconds = reading.frame_seconds(self._path)
        middles = (seconds[1:] + seconds[:-1]) / 2
        first, end = np.searchsorted(middles, (part.start, part.end))
        self._keep(part, int(first), int(end), seconds[-1])


class ArraySource(Source):
    """A source of frames in memory, assumed to be at the spec's rate.

    Args:
        frames: (T, H, W, 3) RGB, 0..255.
        spec: The clip.

    Raises:
        SpecError: If the frames have another shape, type or range.
    """

    def __init__(self, frames: np.ndarray, spec: ClipSpec) -> None:
        self._all, self._spec = video_of(frames), spec
        self.frames, self.rate = len(frames), spec.frame_rate

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        return resizing.resize_all(
            self._all[indices], **resizing.sizing(self._spec)
        )


def open_source(
    source: str | os.PathLike[str] | np.ndarray,
    spec: ClipSpec,
    bound: float = layouts.BOUND,
) -> Source:
    """Return the source of a path, or of frames in memory."""
    if not isinstance(source, str | os.PathLike):
        return ArraySource(source, spec)
    part = Part.of(os.fspath(source))
    opened = _open(part.path, spec, bound)
    opened.keep(part)
    return opened


def _open(path: str, spec: ClipSpec, bound: float) -> Source:
    if is_packed(path):
        return PackedSource(path, spec)
    if os.path.isdir(path):
        return layouts.LayoutSource(path, spec, bound)
    if path.endswith(".npy"):
        return layouts.NpySource(path, spec, bound)
    return FileSource(path, spec)


def is_extracted(path: str) -> bool:
    """Return whether a path holds frames and flow rather than a video."""
    return is_packed(path) or os.path.isdir(path) or path.endswith(".npy")


def check_source(path: str, opener: Opener, look_inside: bool) -> None:
    """Refuse a path that a quick look finds unreadable.

    Args:
        path: As in `open_source`.
        opener: Function that opens the path.
        look_inside: Whether a video file is opened.

    Raises:
        VideoError: If the path cannot be read.
        SpecError: If it is a cache that was made for other clips.
    """
    file = Part.of(path).path
    if is_extracted(file):
        opener(path)
    elif look_inside:
        reading.check_readable(file)
    else:
        opening.check_file(file)
