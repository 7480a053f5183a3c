"""One clip of a list of videos, by (epoch, index), for training or testing."""

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data import _augment, _clips, _crops, _sampling
from keras_twostream.data.cache import PackedStore
from keras_twostream.errors import TwoStreamError, VideoError
from keras_twostream.spec import ClipSpec


class ClipReader:
    """Makes the clip of (epoch, index); safe to call from many threads."""

    def __init__(
        self,
        paths: Sequence[str],
        labels: np.ndarray,
        spec: ClipSpec,
        *,
        training: bool,
        seed: int,
        sampler,
        augment,
        mirror: bool,
        colour: float,
        flow_values: str,
        short: str,
        store: "FrameStore | CacheStore",
    ):
        self._paths, self._labels = list(paths), labels
        self._spec, self._training, self._seed = spec, training, seed
        self._sampler = _sampling.get_sampler(sampler, spec)
        self._draw = _augment.get_augmentation(augment)
        self._mirror, self._colour = mirror, colour
        self._flow_values, self._short = flow_values, short
        self._store = store
        self._lock = threading.Lock()
        self.skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def clip(self, epoch: int, index: int) -> tuple[dict, np.ndarray]:
        """The clip and label of item `index` in `epoch`.

        Where its file cannot be read, the next readable one stands in.

        Raises:
            VideoError: If no file can be read.
        """
        rng = _sampling.generator(self._seed, epoch, index)
        for other in range(len(self)):
            place = (index + other) % len(self)
            path = self._paths[place]
            if path in self.skipped:
                continue
            try:
                return self._cut(path, rng), self._labels[place]
            except (TwoStreamError, OSError, cv2.error) as error:
                self._set_aside(path, error)
        raise self._nothing_left()

    def set_bad_files_aside(self, workers: int, look_inside: bool) -> None:
        """Takes out files that are missing or empty, or unreadable too.

        Raises:
            VideoError: If none is left.
        """

        def check(path: str) -> None:
            self._store.check(path, self._spec, look_inside)

        with ThreadPoolExecutor(workers) as pool:
            errors = list(
                pool.map(lambda path: _error_of(check, path), self._paths)
            )
        for path, error in zip(self._paths, errors, strict=True):
            if error is not None:
                self._set_aside(path, error)
        good = [error is None for error in errors]
        self._paths = [
            path for path, fine in zip(self._paths, good, strict=True) if fine
        ]
        self._labels = self._labels[np.array(good, bool)]
        if not self._paths:
            raise self._nothing_left()

    @property
    def labels(self) -> np.ndarray:
        """(N,) int32 or (N, classes) float32, of the videos not set aside."""
        return self._labels

    def _cut(self, path: str, rng: np.random.Generator):
        spec = self._spec
        source = self._store.open(path, spec)
        placement = self._place(source.frames, rng)
        chosen = _sampling.frames_of(
            placement, source.frames, spec, self._short
        )
        footage = _clips.footage_of(source, chosen, spec)
        return footage.crop(
            self._crop(footage.size, rng),
            self._draw_colour(rng),
            self._flow_values,
        )

    def _place(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        if self._training:
            return self._sampler(frames, self._spec, rng)
        return _sampling.views(frames, self._spec, 1)[0]

    def _crop(self, size: tuple[int, int], rng) -> _crops.Crop:
        crop = self._draw(*size, self._spec.crop, rng)
        if self._training and self._mirror:
            crop = _crops.mirrored(crop, rng.random() < 0.5)
        return crop

    def _draw_colour(self, rng) -> np.ndarray | None:
        if not (self._training and self._colour):
            return None
        return _augment.draw_colour(rng, self._colour)

    def _set_aside(self, path: str, error: Exception) -> None:
        with self._lock:
            known = path in self.skipped
            self.skipped[path] = str(error)
        if not known:
            warnings.warn(f"Set aside: {error}", stacklevel=2)

    def _nothing_left(self) -> VideoError:
        reasons = list(self.skipped.values())[:3]
        return VideoError(
            f"None of the {len(self.skipped)} videos can be read. "
            f"The first reasons: {' '.join(reasons)}"
        )


def _error_of(check: Callable[[str], object], path: str) -> VideoError | None:
    try:
        check(path)
    except VideoError as error:
        return error
    return None


class FrameStore:
    """Decoded frames in memory, as long as there is room for them.

    Args:
        limit: Bytes; 0 keeps nothing.
    """

    def __init__(self, limit: int):
        self._free = limit
        self._kept: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def check(self, path: str, spec: ClipSpec, look_inside: bool) -> None:
        """See `check_source`."""
        _clips.check_source(path, spec, look_inside)

    def open(self, path: str, spec: ClipSpec) -> _clips.Source:
        """A source of the video's frames, in memory where they fit."""
        if path in self._kept:
            return _clips.ArraySource(self._kept[path], spec)
        source = _clips.open_source(path, spec)
        if self._free <= 0 or hasattr(source, "fields"):
            return source
        frames = source.read(np.arange(source.frames))
        with self._lock:
            if frames.nbytes <= self._free and path not in self._kept:
                self._free -= frames.nbytes
                self._kept[path] = frames
        return _clips.ArraySource(frames, spec)


class CacheStore:
    """Frames and flow from a packed cache, written where they are missing.

    Args:
        folder: The cache.
        spec: The clip.
        paths: Every video of the data set.
    """

    def __init__(self, folder, spec: ClipSpec, paths: Sequence[str]):
        self._store = PackedStore(folder, spec, paths)

    def check(self, path: str, spec: ClipSpec, look_inside: bool) -> None:
        """See `check_source`; what is in the cache need not be elsewhere."""
        if not self._store.holds(path):
            _clips.check_source(path, spec, look_inside)

    def open(self, path: str, spec: ClipSpec) -> _clips.Source:
        """A source of the video's frames and flow."""
        if _clips.is_extracted(path):
            return _clips.open_source(path, spec)
        return self._store.open(path)


def frame_store(
    cache: str | os.PathLike | None,
    limit: int,
    spec: ClipSpec,
    paths: Sequence[str],
) -> FrameStore | CacheStore:
    """What keeps frames: nothing, memory, or a folder."""
    if cache is None or cache == "memory":
        return FrameStore(limit if cache else 0)
    return CacheStore(cache, spec, paths)
