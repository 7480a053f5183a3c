"""Occlusion: the fall of a score when a patch of the clip says nothing.

M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks.
ECCV 2014. No gradient is needed, so any network can be explained.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_twostream.explaining._grad_cam import Seen
from keras_twostream.explaining._spatial_maps import Place

Clips = Mapping[str, np.ndarray]
Score = Callable[[Clips], np.ndarray]  # from clips to (B, classes) logits
Grid = tuple[int, int, int]  # cells in time, height and width

_PATCH = 2  # cells; neighbouring patches share one


class Occlusion:
    """Occlusion of patches of one stream at a time.

    Args:
        score: Function from clips to their fused logits.
        neutral: (C,) pixel that says nothing, of each stream.
        grid: Parts of a clip in time, height and width; a patch is one part
            of the time, and two by two of the others.
        batch_size: Clips scored at once.
    """

    def __init__(
        self,
        score: Score,
        neutral: Mapping[str, np.ndarray],
        grid: Grid,
        batch_size: int,
    ) -> None:
        self._score, self._neutral = score, neutral
        self._grid, self._batch_size = grid, batch_size

    def __call__(self, clips: Clips, label: int) -> list[Seen]:
        """Return where the network looks in some clips, for one class."""
        count = len(next(iter(clips.values())))
        whole = self._score(clips)[:, label]
        return [
            (
                stream,
                Place(),
                np.stack(
                    [
                        self._one(_row(clips, i), stream, label, whole[i])
                        for i in range(count)
                    ]
                ),
            )
            for stream in clips
        ]

    def _one(
        self, clip: Clips, stream: str, label: int, whole: float
    ) -> np.ndarray:
        """Return (T, H, W): the mean fall over the patches on each cell."""
        sizes = clip[stream].shape[1:4]
        grid = tuple(map(min, self._grid, sizes))
        falls, patches = np.zeros(grid), np.zeros(grid)
        for places in _batches(list(_patches(grid)), self._batch_size):
            logits = self._score(self._occluded(clip, stream, grid, places))
            for place, logit in zip(places, logits[:, label], strict=True):
                falls[place] += whole - logit
                patches[place] += 1
        return np.maximum(falls / patches, 0).astype(np.float32)

    def _occluded(
        self, clip: Clips, stream: str, grid: tuple[int, ...], places: list
    ) -> dict[str, np.ndarray]:
        copies = {
            name: np.repeat(array, len(places), axis=0)
            for name, array in clip.items()
        }
        edges = [
            np.rint(np.linspace(0, size, count + 1)).astype(int)
            for size, count in zip(clip[stream].shape[1:4], grid, strict=True)
        ]
        for number, place in enumerate(places):
            region: list[Any] = [
                slice(int(ends[part.start]), int(ends[part.stop]))
                for ends, part in zip(edges, place, strict=True)
            ]
            copies[stream][(number, *region)] = self._neutral[stream]
        return copies


def _row(clips: Clips, number: int) -> dict[str, np.ndarray]:
    return {name: clip[number : number + 1] for name, clip in clips.items()}


def _patches(grid: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the cells of each patch: overlapping ones in space."""
    sides = [
        [slice(i, i + width) for i in range(count - width + 1)]
        for count, width in zip(
            grid, (1, *(min(_PATCH, n) for n in grid[1:])), strict=True
        )
    ]
    yield from itertools.product(*sides)


def _batches(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
