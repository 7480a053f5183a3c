"""A packed file as the source of clips."""

import os
from collections.abc import Callable

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.data.cache import images, packed_file
from keras_twostream.data.cache.packed_file import Packed
from keras_twostream.data.source import Source, check_adjacent
from keras_twostream.errors import VideoError
from keras_twostream.spec import ClipSpec


class PackedSource(Source):
    """Frames and flow of a packed file, with random access.

    Args:
        path: The packed file.
        spec: The clip it has to serve.

    Attributes:
        frames: Frames on the timeline.
        size: (height, width).
        packed: The file's metadata and index.

    Raises:
        VideoError: If the file is missing or damaged.
        SpecError: If it was made for other clips; the message names the
            field.
    """

    has_fields = True

    def __init__(self, path: str | os.PathLike[str], spec: ClipSpec) -> None:
        self.packed = packed_file.open_packed(path)
        self.packed.contract.check(spec, str(path))
        self.frames, self.size = self.packed.frames, self.packed.size
        self.rate = self.packed.contract.frame_rate
        _check_count(self.packed, spec)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        frames = np.empty((len(indices), *self.size, 3), np.uint8)
        for place, image in enumerate(self.images(np.asarray(indices, int))):
            frames[place] = image
        return frames

    def images(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return a list of (H, W, 3) uint8 frames, read-only where raw.

        Raises:
            VideoError: If a frame is damaged.
        """
        rows = self.packed.rgb[indices]
        return self._unpacked(rows, images.unpack_frame)

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """Return flow fields, see `Source.fields`."""
        fields = np.zeros((len(pairs), *self.size, 2), np.float32)
        for place, levels in enumerate(self.levels(pairs)):
            if levels is not None:
                images.to_pixels(levels, self.packed.contract, fields[place])
        return fields

    def levels(self, pairs: np.ndarray) -> list[np.ndarray | None]:
        """Return the quantised levels of each field: (2H, W), x above y.

        A frame paired with itself has None; otherwise as `fields`.
        """
        check_adjacent(pairs, self.packed.path)
        steps = pairs[:, 1] - pairs[:, 0]
        rows = self.packed.flow[pairs[steps == 1, 0]]
        moving = iter(self._unpacked(rows, images.unpack_levels))
        return [next(moving) if step else None for step in steps]

    def _unpacked(self, rows: np.ndarray, unpack: Callable) -> list:
        packed = self.packed
        try:
            return [
                unpack(payload, self.size, packed.contract)
                for payload in packed.payloads(rows)
            ]
        except (ValueError, cv2.error) as error:
            raise VideoError(
                f"Cannot read {packed.path}: an image in it is damaged "
                f"({error}). Delete the file and extract again."
            ) from error


def _check_count(packed: Packed, spec: ClipSpec) -> None:
    wanted = {"rgb": packed.frames, "flow": packed.frames - 1}
    for stream in spec.streams:
        count = len(getattr(packed, stream))
        if count != wanted[stream]:
            raise VideoError(
                f"Cannot read {packed.path}: it holds {count} of "
                f"{wanted[stream]} items of {stream}. Delete the file and "
                "extract again."
            )
