"""Stores of decoded frames, in memory or in a packed cache."""

import functools
import os
import threading
import warnings
from collections.abc import Sequence

import numpy as np

from keras_twostream.data import layouts
from keras_twostream.data.cache import PackedStore
from keras_twostream.data.cutting.clip_sources import (
    Opener,
    check_source,
    is_extracted,
    open_source,
)
from keras_twostream.data.source import Part, Source
from keras_twostream.errors import TwoStreamError, check_number
from keras_twostream.spec import ClipSpec


class FrameStore:
    """A store of decoded frames in memory, up to a limit.

    Args:
        limit: Size limit in bytes; 0 keeps nothing.
        spec: The clip.
        opener: Function that opens videos for that clip.
    """

    def __init__(self, limit: int, spec: ClipSpec, opener: Opener) -> None:
        self._limit, self._free = limit, limit
        self._spec, self._opener = spec, opener
        self._kept: dict[str, np.ndarray] = {}
        self._weighed: set[str] = set()
        self._lock = threading.Lock()

    def check(self, path: str, look_inside: bool) -> None:
        """Refuse an unreadable path, see `check_source`."""
        check_source(path, self._opener, look_inside)

    def open(self, path: str) -> Source:
        """Return a source of the video's frames, in memory if they fit."""
        if path not in self._kept:
            source = self._opener(path)
            if not self._limit or source.has_fields:
                return source
            if not self._takes(path, source):
                return source
            numbers = source.first + np.arange(source.frames)
            self._kept[path] = source.read(numbers)
        return _Kept(self._kept[path], self._spec.frame_rate)

    def _takes(self, path: str, source: Source) -> bool:
        """Return whether the caller may keep the video, and reserve its room.

        One frame tells the size, so that nothing is decoded in vain.
        """
        if path in self._weighed:
            return False
        frame = source.read(np.array([source.first]))
        size = source.frames * frame.nbytes
        with self._lock:
            takes = path not in self._weighed and size <= self._free
            self._weighed.add(path)
            self._free -= size if takes else 0
        return takes


class _Kept(Source):
    """Frames in memory that have the clip's size already."""

    def __init__(self, frames: np.ndarray, rate: float | None) -> None:
        self._all, self.frames, self.rate = frames, len(frames), rate

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        return self._all[indices]


class CacheStore:
    """A store of frames and flow in a packed cache, filled on demand.

    Args:
        folder: The cache.
        spec: The clip.
        paths: Every video of the data set.
        opener: Function that opens the videos themselves.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        spec: ClipSpec,
        paths: Sequence[str],
        opener: Opener,
    ) -> None:
        files = [Part.of(path).path for path in paths]
        self._store = PackedStore(folder, spec, files)
        self._opener, self._writes = opener, True

    def check(self, path: str, look_inside: bool) -> None:
        """Refuse an unreadable path, unless the cache holds the video."""
        if not self._store.holds(Part.of(path).path):
            check_source(path, self._opener, look_inside)

    def open(self, path: str) -> Source:
        """Return a source of the video's frames and flow.

        The video itself is read where the cache lacks it and can no longer
        be written.
        """
        part = Part.of(path)
        if not is_extracted(part.path):
            try:
                if self._writes or self._store.holds(part.path):
                    source = self._store.open(part.path)
                    source.keep(part)
                    return source
            except TwoStreamError:
                raise
            except OSError as error:
                self._stop_writing(error)
        return self._opener(path)

    def _stop_writing(self, error: OSError) -> None:
        self._writes = False
        warnings.warn(
            f"Cannot write the cache ({error}). Videos that it lacks are read "
            "directly from here on; make room, or choose another folder.",
            stacklevel=3,
        )


def frame_store(
    cache: str | os.PathLike[str] | None,
    limit: int,
    spec: ClipSpec,
    paths: Sequence[str],
    bound: float = layouts.BOUND,
) -> FrameStore | CacheStore:
    """Return the store for frames: none, in memory, or in a folder.

    Args:
        cache: None, "memory", or the folder.
        limit: Size limit of memory in bytes.
        spec: The clip.
        paths: Every video of the data set.
        bound: Displacement in pixels at the extreme levels of another tool's
            flow.

    Raises:
        SpecError: If the bound is no number greater than 0, or the cache was
            made for other clips.
    """
    check_number("bound", bound)
    opener = functools.partial(open_source, spec=spec, bound=bound)
    if cache is None or cache == "memory":
        return FrameStore(limit if cache else 0, spec, opener)
    return CacheStore(cache, spec, paths, opener)
