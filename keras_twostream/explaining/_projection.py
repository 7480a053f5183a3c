"""Maps of clips, brought back to the frames of the video."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.video.resizing import fit_size
from keras_twostream.explaining._material import Material, interpolation
from keras_twostream.explaining._spatial_maps import Place

_SIDE = 64  # cells of a frame's short side; maps of a network have fewer


class FrameMaps(Mapping[str, np.ndarray]):
    """Maps of each stream on the frames of a video.

    They are held small, and brought to the size of the frames when asked for:
    `maps["rgb"]` makes a new (T, H, W) float32 array, 0..1.

    Args:
        small: (T, h, w) float32 by stream.
        size: (H, W) of the frames.
    """

    def __init__(
        self, small: Mapping[str, np.ndarray], size: tuple[int, int]
    ) -> None:
        self.small, self.size = dict(small), tuple(size)

    def __getitem__(self, stream: str) -> np.ndarray:
        frames = range(len(self.small[stream]))
        return np.stack([self.at(stream, number) for number in frames])

    def __iter__(self) -> Iterator[str]:
        return iter(self.small)

    def __len__(self) -> int:
        return len(self.small)

    def __repr__(self) -> str:
        steps = len(next(iter(self.small.values())))
        streams = ", ".join(f"{stream!r}" for stream in self.small)
        return f"FrameMaps({streams}: {(steps, *self.size)})"

    def at(self, stream: str, frame: int) -> np.ndarray:
        """Return the (H, W) float32 map of one frame, 0..1.

        Args:
            stream: "rgb" or "flow".
            frame: Number of the frame.
        """
        height, width = self.size
        return cv2.resize(self.small[stream][frame], (width, height))


class Projection:
    """A sum of maps on the frames of a video.

    Args:
        material: The clips and their places.
        streams: The streams that have maps.
    """

    def __init__(self, material: Material, streams: Sequence[str]) -> None:
        self._material = material
        short = min(_SIDE, *material.size)
        self._grid = fit_size(material.size, short)
        shape = (material.frames, *self._grid)
        self._sums = {s: np.zeros(shape, np.float32) for s in streams}
        self._counts = {s: np.zeros(material.frames) for s in streams}

    def add(
        self, clip: int, seen: Sequence[tuple[str, Place, np.ndarray]]
    ) -> None:
        """Add the maps of one clip.

        Args:
            clip: Number of the clip.
            seen: Stream, part of the clip, and maps (T', H', W'); several of
                a stream are added up.
        """
        for stream in self._sums:
            first, weights = self._material.on_frames(clip, stream)
            frames = slice(first, first + len(weights))
            self._counts[stream][frames] += 1
            for other, place, maps in seen:
                if other == stream:
                    self._sums[stream][frames] += self._on_frames(
                        weights, place, maps
                    )

    def finished(self) -> FrameMaps:
        """Return the mean over the clips that see a frame; 1 is the largest.

        A frame that no clip sees has the map of the nearest one that some do.
        """
        small = {
            stream: _scaled(_filled(total, self._counts[stream]))
            for stream, total in self._sums.items()
        }
        return FrameMaps(small, self._material.size)

    def _on_frames(
        self, weights: np.ndarray, place: Place, maps: np.ndarray
    ) -> np.ndarray:
        """Return (frames, h, w): maps stretched over the part they show."""
        top, left, bottom, right = _inside(self._material.part, place)
        rows, columns = self._grid
        weights = weights @ _steps(weights.shape[1], len(maps), place.middle)
        vertical = _stretch(maps.shape[1], rows, top, bottom)
        horizontal = _stretch(maps.shape[2], columns, left, right)
        timed = np.tensordot(weights, maps, axes=1)
        return (vertical @ timed @ horizontal.T).astype(np.float32)


def _inside(
    part: tuple[float, float, float, float], place: Place
) -> tuple[float, float, float, float]:
    """Return a place in the clip as a part of the frame."""
    top, left, bottom, right = part
    height, width = bottom - top, right - left
    return (
        top + place.top * height,
        left + place.left * width,
        top + place.bottom * height,
        left + place.right * width,
    )


def _steps(count: int, known: int, middle: bool) -> np.ndarray:
    """Return (count, known) weights of a map's steps for those of the clip."""
    if middle:
        return np.eye(count)[:, [count // 2]]
    return _stretch(known, count, 0.0, 1.0)


def _stretch(known: int, count: int, start: float, end: float) -> np.ndarray:
    """Return (count, known) weights of cells that lie from start to end.

    Both are shares of the axis; what lies outside gets nothing.
    """
    centres = (np.arange(count) + 0.5) / count
    places = (centres - start) / (end - start) * known - 0.5
    weights = interpolation(places, np.arange(known))
    weights[(centres < start) | (centres > end)] = 0
    return weights


def _filled(total: np.ndarray, counts: np.ndarray) -> np.ndarray:
    seen = np.flatnonzero(counts)
    if not len(seen):
        return total
    places = np.interp(np.arange(len(counts)), seen, np.arange(len(seen)))
    nearest = seen[np.rint(places).astype(int)]
    mean = total[nearest]
    return mean / counts[nearest, None, None].astype(np.float32)


def _scaled(maps: np.ndarray) -> np.ndarray:
    largest = maps.max()
    return maps / largest if largest > 0 else maps
