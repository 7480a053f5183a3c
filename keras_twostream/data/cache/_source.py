"""A packed file as the source of clips."""

import os

import numpy as np

from keras_twostream.data.cache import _images, _packed
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec


class PackedSource:
    """Frames and flow of a packed file, read at any place.

    Args:
        path: The packed file.
        spec: The clip it has to serve.

    Attributes:
        frames: Frames on the timeline.
        size: (height, width).
        packed: What the file says about itself.

    Raises:
        VideoError: If the file is missing or damaged.
        SpecError: If it was made for other clips; names the field.
    """

    def __init__(self, path: str | os.PathLike, spec: ClipSpec) -> None:
        self.packed = _packed.open_packed(path)
        self.packed.contract.check(spec, str(path))
        self.frames, self.size = self.packed.frames, self.packed.size

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 frames."""
        packed = self.packed
        frames = np.empty((len(indices), *self.size, 3), np.uint8)
        payloads = packed.payloads(packed.rgb[np.asarray(indices, int)])
        for place, payload in enumerate(payloads):
            frames[place] = _images.unpack_frame(
                payload, self.size, packed.contract
            )
        return frames

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """(N, H, W, 2) float32 flow of (N, 2) pairs of frame numbers.

        A frame paired with itself does not move.

        Raises:
            SpecError: If a pair is not one frame and the next.
        """
        packed = self.packed
        steps = pairs[:, 1] - pairs[:, 0]
        if not np.isin(steps, (0, 1)).all():
            raise SpecError(
                f"{packed.path} holds flow from each frame to the next. "
                f"Received: pairs {np.unique(steps).tolist()} frames apart."
            )
        fields = np.zeros((len(pairs), *self.size, 2), np.float32)
        moving = np.flatnonzero(steps)
        payloads = packed.payloads(packed.flow[pairs[moving, 0]])
        for place, payload in zip(moving, payloads, strict=True):
            fields[place] = _images.unpack_field(
                payload, self.size, packed.contract
            )
        return fields
