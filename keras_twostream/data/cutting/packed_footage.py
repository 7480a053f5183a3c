"""Clips of a packed file, written directly into a batch.

Fields stay in their 8 or 16 bits until they are cropped, and each plane is
resized by itself: OpenCV is several times faster with one channel than with
twenty. Clips are written into the caller's arrays, as fresh memory costs more
than decoding. All slow steps release Python's lock.
"""

import numpy as np

from keras_twostream import flow
from keras_twostream._opencv import cv2
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cutting import augmentation, cropping
from keras_twostream.data.cutting.clip_frames import ClipFrames
from keras_twostream.spec import ClipSpec

_MERGED = 128  # channels that every OpenCV can lay side by side
_FRAMES = 2**31  # more than a video has


class PackedFootage:
    """Footage of a packed file, with the interface of `Footage`.

    Args:
        source: The file.
        chosen: The frames that the clips take.
        mean_subtraction: Whether each field loses its mean vector.

    Raises:
        VideoError: If an image in the file is damaged.
    """

    def __init__(
        self,
        source: PackedSource,
        chosen: ClipFrames,
        mean_subtraction: bool = False,
    ) -> None:
        self._contract, self.size = source.packed.contract, source.size
        self._frames: list[np.ndarray] | None = None
        self._levels: list[np.ndarray | None] | None = None
        if chosen.rgb is not None:
            shown, self._steps = distinct(chosen.rgb)
            self._frames = source.images(shown)
        if chosen.pairs is not None:
            pairs, self._places = distinct_pairs(chosen.pairs)
            self._levels = source.levels(pairs)
            self._rest = self._levels_at_rest(mean_subtraction)

    @staticmethod
    def serves(spec: ClipSpec) -> bool:
        """Return whether clips of a spec can be cut this way.

        Trajectory stacking follows points through whole fields.
        """
        return "flow" not in spec.streams or spec.stacking == "forward"

    def crop(
        self,
        crop: cropping.Crop,
        colour: np.ndarray | None = None,
        flow_values: str = "scaled",
        out: dict[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the clips under one crop, see `Footage.crop`."""
        clip = {}
        if self._frames is not None:
            clip["rgb"] = _target(out, "rgb", self._steps, crop, 3, np.uint8)
            self._lay_frames(self._frames, crop, colour, clip["rgb"])
        if self._levels is not None:
            clip["flow"] = _target(
                out, "flow", self._places, crop, 2, np.float32
            )
            self._lay_fields(self._levels, crop, flow_values, clip["flow"])
        return clip

    def _lay_frames(
        self,
        images: list[np.ndarray],
        crop: cropping.Crop,
        colour: np.ndarray | None,
        result: np.ndarray,
    ) -> None:
        frames = [_resized(_taken(image, crop), crop.size) for image in images]
        if colour is not None:
            frames = list(augmentation.apply_colour(np.stack(frames), colour))
        for place in np.ndindex(self._steps.shape[:-1]):
            for k, number in enumerate(self._steps[place]):
                result[place][..., 3 * k : 3 * k + 3] = frames[number]

    def _lay_fields(
        self,
        fields: list[np.ndarray | None],
        crop: cropping.Crop,
        values: str,
        result: np.ndarray,
    ) -> None:
        factor = self._pixels_per_level(crop, values)
        planes = []
        for levels, rest in zip(fields, self._rest, strict=True):
            if levels is None:  # no motion
                planes += [np.zeros(crop.size, np.float32)] * 2
                continue
            half = len(levels) // 2
            for axis, plane in enumerate((levels[:half], levels[half:])):
                plane = _taken(plane, crop).astype(np.float32)
                plane *= factor[axis]
                plane -= factor[axis] * rest[axis]
                planes.append(_resized(plane, crop.size))
        for place in np.ndindex(self._places.shape[:-1]):
            numbers = self._places[place]
            _side_by_side(
                [planes[2 * n + axis] for n in numbers for axis in (0, 1)],
                result[place],
            )

    def _pixels_per_level(self, crop: cropping.Crop, values: str) -> np.ndarray:
        """Return the displacement in x and y that a level stands for."""
        step, _ = self._line()
        scale = cropping.flow_scale(crop, values)
        return np.asarray(scale * step, np.float32)

    def _levels_at_rest(self, subtract_mean: bool) -> list[np.ndarray]:
        """Return each field's (2,) levels in x and y that become 0 pixels."""
        step, first = self._line()
        still = np.full(2, -first / step, np.float32)
        return [
            _mean_levels(levels)
            if subtract_mean and levels is not None
            else still
            for levels in self._levels or ()
        ]

    def _line(self) -> tuple[float, float]:
        return flow.levels_to_pixels(
            self._contract.flow_bound, self._contract.bits
        )


def _mean_levels(levels: np.ndarray) -> np.ndarray:
    """Return the mean level of a field's two planes, x above y."""
    means = levels.reshape(2, -1).mean(axis=1, dtype=np.float64)
    return means.astype(np.float32)


def _target(out, stream: str, places, crop, depth: int, dtype) -> np.ndarray:
    if out is not None:
        return out[stream]
    *leading, count = places.shape
    return np.empty((*leading, *crop.size, depth * count), dtype)


def _taken(image: np.ndarray, crop: cropping.Crop) -> np.ndarray:
    rows = slice(crop.top, crop.top + crop.height)
    image = image[rows, crop.left : crop.left + crop.width]
    return cv2.flip(image, 1) if crop.mirror else image


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, (size[1], size[0]))


def _side_by_side(planes: list[np.ndarray], result: np.ndarray) -> None:
    if len(planes) <= _MERGED:
        cv2.merge(planes, result)
    else:
        np.stack(planes, axis=-1, out=result)


def distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct numbers, and the index of each input among them."""
    unique, places = np.unique(numbers, return_inverse=True)
    return unique, places.reshape(numbers.shape)


def distinct_pairs(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return as `distinct`, for pairs of frame numbers on the last axis."""
    one = pairs[..., 0] * _FRAMES + pairs[..., 1]  # sorts faster than a pair
    unique, places = distinct(one)
    return np.stack(np.divmod(unique, _FRAMES), axis=-1), places
