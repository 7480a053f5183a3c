"""The views of many videos, in batches of one size.

A video is tested on its views, N clips times M crops. Batches cross the border
between videos; the last one is filled up and masked.
"""

import collections
import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_twostream.data.cutting.clip_sources import (
    DEFAULT_VIEWS,
    Views,
    view_footage,
)
from keras_twostream.data.video.boundary import one_file
from keras_twostream.errors import VideoError
from keras_twostream.spec import ClipSpec

_SIZES = 4  # frame sizes whose batches fill at once, so that memory is flat
_AHEAD = 2**29  # bytes of clips that are read ahead, of one crop each

# The number of the view's clip in the video, and the view's arrays.
View = tuple[int, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ViewBatch:
    """One batch of views.

    Attributes:
        clips: Dict from stream to (B, T, H, W, C).
        video: (B,) int32, the index in the list of each view's video.
        clip: (B,) int32, the number of each view's clip in its video.
        mask: (B,) float32, 1 for a view, 0 for padding.
    """

    clips: dict[str, np.ndarray]
    video: np.ndarray
    clip: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Opened:
    """An opened video; all crops but the first are still to be cut."""

    footage: Any
    crops: list[Any]
    first: dict[str, np.ndarray]


class ViewReader:
    """Reader that opens videos in parallel and cuts their views.

    Args:
        paths: The videos.
        spec: The clip.
        batch_size: Views in a batch.
        views: Rule by which views are cut from each video.
        workers: Number of videos read in parallel.

    Attributes:
        skipped: Dict from path to the reason, for videos that cannot be read.
        views: (videos,) the number of views of each, after iterating.
    """

    def __init__(
        self,
        paths: Sequence[str],
        spec: ClipSpec,
        batch_size: int = 32,
        views: Views = DEFAULT_VIEWS,
        workers: int | None = None,
    ) -> None:
        self._paths, self._spec = list(paths), spec
        self._batch_size, self._cut = batch_size, views
        self._workers = workers or os.cpu_count() or 1
        self.skipped: dict[str, str] = {}
        self.views = np.zeros(len(self._paths), int)

    def __iter__(self) -> Iterator[ViewBatch]:
        self.views[:] = 0
        waiting: dict[Any, list] = collections.defaultdict(list)
        for number, views in enumerate(self._read_ahead()):
            for clip, view in views:
                self.views[number] += 1
                # Whole frames of different sizes cannot share a batch.
                shape = tuple(array.shape for array in view.values())
                waiting[shape].append((number, clip, view))
                if len(waiting[shape]) == self._batch_size:
                    yield self._batch(waiting.pop(shape))
                elif len(waiting) > _SIZES:
                    yield self._batch(waiting.pop(next(iter(waiting))))
        for rest in waiting.values():
            yield self._batch(rest)
        if self._paths and not self.views.any():
            raise VideoError(
                f"None of the {len(self._paths)} videos can be read. The "
                f"first reason: {next(iter(self.skipped.values()), '')}"
            )

    def _read_ahead(self) -> Iterator[Iterator[View]]:
        """Yield each video's views in order, reading a few videos ahead."""
        ahead = self._workers
        with ThreadPoolExecutor(self._workers) as pool:
            coming: collections.deque[Future[_Opened | None]]
            coming = collections.deque()
            for path in self._paths:
                coming.append(pool.submit(self._open, path))
                while len(coming) > ahead:
                    opened = coming.popleft().result()
                    ahead = self._fitting(opened)
                    yield _views(opened, pool)
            while coming:
                yield _views(coming.popleft().result(), pool)

    def _open(self, path: str) -> "_Opened | None":
        try:
            with one_file(path):
                footage, crops = view_footage(path, self._spec, self._cut)
                return _Opened(footage, crops[1:], footage.crop(crops[0]))
        except VideoError as error:
            self.skipped[path] = str(error)
            return None

    def _fitting(self, opened: "_Opened | None") -> int:
        """Return the number of videos like this one that may be read ahead."""
        if opened is None:
            return self._workers
        size = sum(array.nbytes for array in opened.first.values())
        return min(self._workers, max(1, _AHEAD // max(size, 1)))

    def _batch(
        self, rows: list[tuple[int, int, dict[str, np.ndarray]]]
    ) -> ViewBatch:
        fill = self._batch_size - len(rows)
        mask = np.array([1.0] * len(rows) + [0.0] * fill, "float32")
        rows = rows + [rows[-1]] * fill
        return ViewBatch(
            {
                stream: np.stack([view[stream] for *_, view in rows])
                for stream in rows[0][-1]
            },
            np.array([number for number, *_ in rows], "int32"),
            np.array([clip for _, clip, _ in rows], "int32"),
            mask,
        )


def _views(opened: _Opened | None, pool: ThreadPoolExecutor) -> Iterator[View]:
    """Yield a video's views; the next crop is cut while one is used."""
    if opened is None:
        return
    coming = opened.first
    for crop in opened.crops:
        cut = pool.submit(opened.footage.crop, crop)
        yield from _rows(coming)
        coming = cut.result()
    yield from _rows(coming)


def _rows(arrays: dict[str, np.ndarray]) -> Iterator[View]:
    for clip in range(len(next(iter(arrays.values())))):
        yield clip, {stream: array[clip] for stream, array in arrays.items()}
