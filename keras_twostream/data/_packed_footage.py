"""Clips of a packed file, by the shortest way from its bytes to a batch.

Fields stay in their 8 or 16 bits until they are cropped, and each plane is
resized by itself: OpenCV is several times faster with one channel than with
twenty. Clips are written where the caller wants them, as fresh memory costs
more than decoding. All that takes time runs without Python's lock.
"""

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data import _augment, _crops, _sampling
from keras_twostream.data.cache import PackedSource
from keras_twostream.spec import ClipSpec

_MERGED = 128  # channels that every OpenCV can lay side by side


class PackedFootage:
    """What `Footage` is, of a packed file.

    Args:
        source: The file.
        chosen: The frames that the clips take.
        spec: The clip.

    Raises:
        VideoError: If an image in the file is damaged.
    """

    def __init__(
        self,
        source: PackedSource,
        chosen: _sampling.ClipFrames,
        spec: ClipSpec,
    ) -> None:
        self._contract, self.size = source.packed.contract, source.size
        self._frames = self._levels = None
        if chosen.rgb is not None:
            shown, self._steps = distinct(chosen.rgb)
            self._frames = source.images(shown)
        if chosen.pairs is not None:
            pairs, self._places = distinct_pairs(chosen.pairs)
            self._levels = source.levels(pairs)

    @staticmethod
    def serves(source, spec: ClipSpec) -> bool:
        """Whether clips of a source can be cut this way.

        Trajectory stacking follows points through whole fields.
        """
        stacked = "flow" not in spec.streams or spec.stacking == "forward"
        return isinstance(source, PackedSource) and stacked

    def crop(
        self,
        crop: _crops.Crop,
        colour: np.ndarray | None = None,
        flow_values: str = "scaled",
        out: dict[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """See `Footage.crop`."""
        clip = {}
        if self._frames is not None:
            clip["rgb"] = _target(out, "rgb", self._steps, crop, 3, np.uint8)
            self._lay_frames(crop, colour, clip["rgb"])
        if self._levels is not None:
            clip["flow"] = _target(
                out, "flow", self._places, crop, 2, np.float32
            )
            self._lay_fields(crop, flow_values, clip["flow"])
        return clip

    def _lay_frames(self, crop: _crops.Crop, colour, result) -> None:
        frames = [_crops.crop_rgb(image[None], crop) for image in self._frames]
        if colour is not None:
            frames = [_augment.apply_colour(frame, colour) for frame in frames]
        for place in np.ndindex(self._steps.shape[:-1]):
            for k, number in enumerate(self._steps[place]):
                result[place][..., 3 * k : 3 * k + 3] = frames[number][0]

    def _lay_fields(self, crop: _crops.Crop, values: str, result) -> None:
        factor, offset = self._pixels(crop, values)
        planes = [
            _plane(levels, axis, self.size[0], crop, factor[axis], offset[axis])
            for levels in self._levels
            for axis in (0, 1)
        ]
        for place in np.ndindex(self._places.shape[:-1]):
            numbers = self._places[place]
            _side_by_side(
                [planes[2 * n + axis] for n in numbers for axis in (0, 1)],
                result[place],
            )

    def _pixels(self, crop: _crops.Crop, values: str):
        """Factors and offsets from levels to displacement, of x and y."""
        scale = _crops.flow_scale(crop, values)
        bound = self._contract.flow_bound
        step = 2 * bound / (2**self._contract.bits - 1)
        return np.float32(scale * step), np.float32(-scale * bound)


def _target(out, stream: str, places, crop, depth: int, dtype) -> np.ndarray:
    if out is not None:
        return out[stream]
    *leading, count = places.shape
    return np.empty((*leading, *crop.size, depth * count), dtype)


def _plane(
    levels: np.ndarray | None,
    axis: int,
    height: int,
    crop: _crops.Crop,
    factor: np.float32,
    offset: np.float32,
) -> np.ndarray:
    """x (axis 0) or y (1) of one field, cropped and in pixels."""
    if levels is None:
        return np.zeros(crop.size, np.float32)
    top = axis * height + crop.top  # x stands above y
    columns = slice(crop.left, crop.left + crop.width)
    taken = levels[top : top + crop.height, columns]
    if crop.mirror:
        taken = cv2.flip(taken, 1)
    plane = taken.astype(np.float32)
    plane *= factor
    plane += offset
    if plane.shape == tuple(crop.size):
        return plane
    return cv2.resize(plane, (crop.size[1], crop.size[0]))


def _side_by_side(planes: list[np.ndarray], result: np.ndarray) -> None:
    if len(planes) <= _MERGED:
        cv2.merge(planes, result)
    else:
        np.stack(planes, axis=-1, out=result)


def distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different numbers, and the place of each of all among them."""
    found, places = np.unique(numbers, return_inverse=True)
    return found, places.reshape(numbers.shape)


def distinct_pairs(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `distinct`, of pairs on the last axis."""
    found, places = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    return found, places.reshape(pairs.shape[:-1])
