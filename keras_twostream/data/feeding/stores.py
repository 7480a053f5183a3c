"""Where the frames of videos come from, and what keeps them."""

import os
import threading
import warnings
from collections.abc import Sequence

import numpy as np

from keras_twostream.data import layouts
from keras_twostream.data.cache import PackedStore
from keras_twostream.data.cutting import clip_sources
from keras_twostream.errors import TwoStreamError
from keras_twostream.spec import ClipSpec


class FrameStore:
    """Decoded frames in memory, as long as there is room for them.

    Args:
        limit: Bytes; 0 keeps nothing.
        bound: See `open_source`.
    """

    def __init__(self, limit: int, bound: float):
        self._limit, self._free, self._bound = limit, limit, bound
        self._kept: dict[str, np.ndarray] = {}
        self._weighed: set[str] = set()
        self._lock = threading.Lock()

    def check(self, path: str, spec: ClipSpec, look_inside: bool) -> None:
        """See `check_source`."""
        clip_sources.check_source(path, spec, look_inside)

    def open(self, path: str, spec: ClipSpec) -> clip_sources.Source:
        """A source of the video's frames, in memory where they fit."""
        if path in self._kept:
            return clip_sources.ArraySource(self._kept[path], spec)
        source = clip_sources.open_source(path, spec, self._bound)
        if not self._limit or hasattr(source, "fields"):
            return source
        if not self._takes(path, source):
            return source
        self._kept[path] = source.read(np.arange(source.frames))
        return clip_sources.ArraySource(self._kept[path], spec)

    def _takes(self, path: str, source: clip_sources.Source) -> bool:
        """Whether the caller is to keep the video; its room is taken then.

        One frame tells the size, so that nothing is decoded in vain.
        """
        if path in self._weighed:
            return False
        size = source.frames * source.read(np.array([0])).nbytes
        with self._lock:
            takes = path not in self._weighed and size <= self._free
            self._weighed.add(path)
            self._free -= size if takes else 0
        return takes


class CacheStore:
    """Frames and flow from a packed cache, written where they are missing.

    Args:
        folder: The cache.
        spec: The clip.
        paths: Every video of the data set.
        bound: See `open_source`.
    """

    def __init__(
        self, folder, spec: ClipSpec, paths: Sequence[str], bound: float
    ):
        self._store, self._bound = PackedStore(folder, spec, paths), bound
        self._writes = True

    def check(self, path: str, spec: ClipSpec, look_inside: bool) -> None:
        """See `check_source`; what is in the cache need not be elsewhere."""
        if not self._store.holds(path):
            clip_sources.check_source(path, spec, look_inside)

    def open(self, path: str, spec: ClipSpec) -> clip_sources.Source:
        """A source of the video's frames and flow.

        The video itself is read where the cache lacks it and cannot be
        written any more.
        """
        if not clip_sources.is_extracted(path):
            try:
                if self._writes or self._store.holds(path):
                    return self._store.open(path)
            except TwoStreamError:
                raise
            except OSError as error:
                self._stop_writing(error)
        return clip_sources.open_source(path, spec, self._bound)

    def _stop_writing(self, error: OSError) -> None:
        self._writes = False
        warnings.warn(
            f"Cannot write the cache ({error}). Videos that it lacks are read "
            "directly from here on; make room, or choose another folder.",
            stacklevel=3,
        )


def frame_store(
    cache: str | os.PathLike | None,
    limit: int,
    spec: ClipSpec,
    paths: Sequence[str],
    bound: float = layouts.BOUND,
) -> FrameStore | CacheStore:
    """What keeps frames: nothing, memory, or a folder."""
    if cache is None or cache == "memory":
        return FrameStore(limit if cache else 0, bound)
    return CacheStore(cache, spec, paths, bound)
