"""Flow of pairs of a video's frames, computed once and kept for a while."""

import numpy as np

from keras_twostream import flow
from keras_twostream.spec import ClipSpec

ALBUM = 2**28  # bytes of fields that are kept for pictures

Pair = tuple[int, int]


class Album:
    """Fields between each frame and the next, kept for pictures.

    They are kept in half precision, as many as fit into `room`: of a longer
    video the first ones.

    Args:
        room: Most bytes.
    """

    def __init__(self, room: int = ALBUM) -> None:
        self._room = room
        self._fields: dict[int, np.ndarray] = {}

    def add(self, pair: Pair, field: np.ndarray) -> None:
        """Keep the (H, W, 2) field of a pair of neighbours, if it fits."""
        first, second = pair
        if second == first + 1 and field.nbytes // 2 <= self._room:
            self._fields[first] = field.astype(np.float16)
            self._room -= field.nbytes // 2

    def get(self, number: int) -> np.ndarray | None:
        """Return the (H, W, 2) float32 field from a frame to the next."""
        field = self._fields.get(number)
        return None if field is None else field.astype(np.float32)


class KeptFlow:
    """The flow of clips that come in the order of a video.

    The flow of a pair of frames is computed once, however many clips it lies
    in, and forgotten when no later clip can ask for it.

    Args:
        spec: The algorithm.
        album: A place for fields that will be shown; none when None.

    Attributes:
        computed: Number of fields computed so far.
    """

    def __init__(self, spec: ClipSpec, album: Album | None = None) -> None:
        self._spec, self._album = spec, album
        self._fields: dict[Pair, np.ndarray] = {}
        self.computed = 0

    def of(
        self, pairs: np.ndarray, numbers: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """Return the flow of pairs of frames.

        Args:
            pairs: (M, 2) numbers of frames of the video.
            numbers: (N,) numbers of the frames at hand, ascending. Pairs with
                a frame before the first of them are forgotten.
            frames: (N, H, W, 3) these frames.

        Returns:
            (M, H, W, 2) float32 in pixels.
        """
        self._forget(int(numbers[0]), frames.shape[1:3])
        keys: list[Pair] = [(int(a), int(b)) for a, b in pairs]
        unknown = [k for k in dict.fromkeys(keys) if k not in self._fields]
        if unknown:
            self._compute(unknown, numbers, frames)
        return np.stack([self._fields[key] for key in keys])

    def newest(self) -> np.ndarray | None:
        """Return the field (H, W, 2) to the newest frame, if there is any."""
        # Of a stack that looks both ways, the last pair is one backwards.
        last = max(self._fields, key=lambda pair: pair[::-1], default=None)
        return None if last is None else self._fields[last]

    def _forget(self, before: int, size: tuple[int, ...]) -> None:
        self._fields = {
            pair: field
            for pair, field in self._fields.items()
            if min(pair) >= before and field.shape[:2] == size
        }

    def _compute(
        self, pairs: list[Pair], numbers: np.ndarray, frames: np.ndarray
    ) -> None:
        used, places = np.unique(pairs, return_inverse=True)
        fields = flow.compute_pairs(
            frames[np.searchsorted(numbers, used)],
            places.reshape(-1, 2),
            self._spec.flow_algorithm,
            **self._spec.flow_parameters,
        )
        self.computed += len(fields)
        for pair, field in zip(pairs, fields, strict=True):
            self._fields[pair] = field
            if self._album is not None:
                self._album.add(pair, field)
