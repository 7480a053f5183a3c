"""Batches of regions for the region network, some of them foreground.

Gkioxari & Malik 2015, section 3.2, after R-CNN: a region that overlaps a true
box by half or more has its class, and every other region is background. In the
paper a quarter of a batch is foreground.

A batch is a function of the seed and its number, so that training can resume
anywhere. Unlike Caffe's window layer, which draws every region anew from all
videos, a batch takes its regions from a few frames, which are sent to the
device once.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.detection.cutting import Cutter
from keras_twostream.detection.store import RegionStore, VideoRegions
from keras_twostream.errors import SpecError

FOREGROUND = 0.25  # share of a batch
OVERLAP = 0.5


class RegionBatches(keras.utils.PyDataset):
    """Batches of warped regions and their classes.

    The last class is the background.

    Args:
        store: Regions of the training videos.
        cutter: Cutter of the network.
        outputs: Names of the network's outputs; None for a single one.
        batch_size: Number of regions in a batch.
        steps: Number of batches in an epoch.
        frames: Number of frames that a batch's regions come from.
        mirror: Whether to flip half of the regions.
        foreground: Share of the regions that overlap a true box.
        seed: Seed of everything random.

    Attributes:
        start: Number of batches drawn before, 0 at first: a data set of Keras
            is the same in every epoch, unless this moves on.

    Raises:
        SpecError: If no region of the videos is foreground.
    """

    def __init__(
        self,
        store: RegionStore,
        cutter: Cutter,
        outputs: list[str] | None,
        batch_size: int,
        steps: int,
        *,
        frames: int = 16,
        mirror: bool = True,
        foreground: float = FOREGROUND,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._store, self._cutter, self._outputs = store, cutter, outputs
        self._size, self._steps = batch_size, steps
        self._frames, self._mirror = frames, mirror
        self._foreground = foreground
        self._seed, self.start = seed, 0
        self._pools = _pools(store)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any]:
        rng = np.random.default_rng([self._seed, self.start + index])
        chosen = self._chosen(rng)
        batch = self._cut(chosen, rng)
        labels = np.array([label for *_, label in chosen])
        if self._outputs is None:
            return batch, labels
        return batch, {name: labels for name in self._outputs}

    def _chosen(self, rng: np.random.Generator) -> list[tuple]:
        """Draw (video, frame, box, label) of each region, foreground first."""
        wanted = round(self._foreground * self._size)
        videos = rng.choice(list(self._pools), self._frames)
        places = [self._frame_of(int(video), rng) for video in videos]
        shares = [_share(wanted, self._frames, i) for i in range(len(places))]
        rest = self._size - wanted
        others = [_share(rest, self._frames, i) for i in range(len(places))]
        chosen = []
        for place, count in zip(places, shares, strict=True):
            chosen += self._draw(place, count, True, rng)
        for place, count in zip(places, others, strict=True):
            chosen += self._draw(place, count, False, rng)
        return chosen

    def _frame_of(self, video: int, rng) -> tuple[int, int]:
        """Draw a frame of the video, one with foreground if there is any."""
        frames = self._pools[video]
        return video, int(rng.choice(frames))

    def _draw(self, place, count: int, foreground: bool, rng) -> list[tuple]:
        """Draw regions of one frame, of the other kind where it has none."""
        video, frame = place
        regions = self._store[video]
        here = np.flatnonzero(regions.places == frame)
        best = regions.shared[here].max(axis=1)
        of_kind = here[(best >= OVERLAP) == foreground]
        pool = of_kind if len(of_kind) else here
        picked = rng.choice(pool, count)
        return [
            (video, frame, regions.boxes[i], self._label(regions, i))
            for i in picked
        ]

    def _label(self, regions: VideoRegions, region: int) -> int:
        shared = regions.shared[region]
        if shared.max() < OVERLAP:
            return len(self._store.classes)
        return int(shared.argmax())

    def _cut(self, chosen: list[tuple], rng) -> dict[str, Any]:
        """Warp the regions, frames of one size at a time."""
        flips = rng.uniform(size=len(chosen)) < 0.5 * self._mirror
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, (video, *_) in enumerate(chosen):
            size = self._store[video].frames.shape[1:3]
            groups.setdefault(size, []).append(i)
        parts = [self._warp(chosen, group, flips) for group in groups.values()]
        order = np.argsort(np.concatenate(list(groups.values())))
        return {
            stream: np.concatenate([part[stream] for part in parts])[order]
            for stream in parts[0]
        }

    def _warp(self, chosen, group, flips) -> dict[str, np.ndarray]:
        places = list(dict.fromkeys(chosen[i][:2] for i in group))
        number = {place: i for i, place in enumerate(places)}
        batch = self._cutter(
            np.stack([self._store[v].frames[f] for v, f in places]),
            np.stack([self._store[v].fields[f] for v, f in places]),
            np.array([number[chosen[i][:2]] for i in group]),
            np.stack([chosen[i][2] for i in group]),
            flips[group],
        )
        return {name: ops.convert_to_numpy(x) for name, x in batch.items()}


def _pools(store: RegionStore) -> dict[int, np.ndarray]:
    """Return frames to draw from by video: with foreground, or with regions.

    A video without a region has none.
    """
    pools, any_foreground = {}, False
    for video in range(len(store)):
        regions = store[video]
        there = regions.places[regions.shared.max(axis=1) >= OVERLAP]
        any_foreground |= bool(len(there))
        if len(regions.places):
            pools[video] = np.unique(there if len(there) else regions.places)
    if not any_foreground:
        raise SpecError(
            f"None of the {len(store)} videos has a region that overlaps a "
            "true box by half. Are the boxes in pixels of the videos, and "
            "their frames numbered from 0?"
        )
    return pools


def _share(total: int, parts: int, index: int) -> int:
    """Return a whole share of the total; all shares add up to it."""
    return total * (index + 1) // parts - total * index // parts
