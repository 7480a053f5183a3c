"""A reader of clips by (epoch, index), for training or testing."""

import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_twostream.data.cutting import augmentation, cropping, placement
from keras_twostream.data.cutting.footage import footage_of
from keras_twostream.data.feeding.stores import CacheStore, FrameStore
from keras_twostream.data.video.boundary import one_file
from keras_twostream.errors import VideoError
from keras_twostream.spec import ClipSpec


class ClipReader:
    """A reader of clips by (epoch, index), safe to call from many threads."""

    def __init__(
        self,
        paths: Sequence[str],
        labels: np.ndarray,
        spec: ClipSpec,
        *,
        training: bool,
        seed: int,
        sampler: str | placement.Sampler | None,
        augment: str | augmentation.Draw,
        mirror: bool,
        colour: float,
        flow_values: str,
        short: str,
        store: FrameStore | CacheStore,
    ):
        self._paths, self._labels = list(paths), labels
        self._spec, self._training, self._seed = spec, training, seed
        self._sampler = placement.get_sampler(sampler, spec)
        self._draw = augmentation.get_augmentation(augment, spec.crop_rounding)
        self._mirror, self._short = mirror, short
        self._colour = colour if training else 0.0
        self._flow_values = flow_values
        self._store = store
        self._lock = threading.Lock()
        self.skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def read(
        self, epoch: int, index: int, out: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Write the clip of item `index` in `epoch`, and return its label.

        Where its file cannot be read, the next readable one replaces it.

        Args:
            epoch: Number of the epoch, from 0.
            index: Number of the item, from 0.
            out: Array (T, H, W, C) to fill for each stream of the spec.

        Raises:
            VideoError: If no file can be read.
        """
        for other in range(len(self)):
            place = (index + other) % len(self)
            path = self._paths[place]
            if path in self.skipped:
                continue
            # New for each file: it may fail before or after its draws.
            rng = placement.generator(self._seed, epoch, index)
            try:
                self._cut(path, rng, out)
            except VideoError as error:
                self._set_aside(path, error)
            else:
                return self._labels[place]
        raise self._nothing_left()

    def set_bad_files_aside(self, workers: int, look_inside: bool) -> None:
        """Set aside files that are missing, empty or, if asked, unreadable.

        Raises:
            VideoError: If no file is left.
        """

        def check(path: str) -> None:
            self._store.check(path, look_inside)

        with ThreadPoolExecutor(workers) as pool:
            errors = list(
                pool.map(lambda path: _error_of(check, path), self._paths)
            )
        for path, error in zip(self._paths, errors, strict=True):
            if error is not None:
                self._set_aside(path, error)
        good = [error is None for error in errors]
        self._paths = [
            path for path, fine in zip(self._paths, good, strict=True) if fine
        ]
        self._labels = self._labels[np.array(good, bool)]
        if not self._paths:
            raise self._nothing_left()

    @property
    def labels(self) -> np.ndarray:
        """Return (N,) int32 or (N, classes) float32 of videos not set aside."""
        return self._labels

    def _cut(
        self, path: str, rng: np.random.Generator, out: dict[str, np.ndarray]
    ) -> None:
        # An error of a sampler or augmentation would occur for every
        # video: it is not the file's fault.
        with one_file(path):
            source = self._store.open(path)
        place = self._place(source.frames, rng)
        with one_file(path):
            footage = footage_of(source, place, self._spec, self._short)
        crop, colour = self._crop(footage.size, rng), self._draw_colour(rng)
        with one_file(path):
            footage.crop(crop, colour, self._flow_values, out)

    def _place(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        if self._training:
            return self._sampler(frames, self._spec, rng)
        return placement.views(frames, self._spec, 1)[0]

    def _crop(self, size: tuple[int, int], rng) -> cropping.Crop:
        crop = self._draw(*size, self._spec.crop, rng)
        if self._training and self._mirror:
            crop = cropping.mirrored(crop, rng.random() < 0.5)
        return crop

    def _draw_colour(self, rng) -> np.ndarray | None:
        if not self._colour:
            return None
        return augmentation.draw_colour(rng, self._colour)

    def _set_aside(self, path: str, error: Exception) -> None:
        with self._lock:
            known = path in self.skipped
            self.skipped[path] = str(error)
        if not known:
            warnings.warn(f"Set aside: {error}", stacklevel=2)

    def _nothing_left(self) -> VideoError:
        reasons = list(self.skipped.values())[:3]
        return VideoError(
            f"None of the {len(self.skipped)} videos can be read. "
            f"The first reasons: {' '.join(reasons)}"
        )


def _error_of(check: Callable[[str], object], path: str) -> Exception | None:
    try:
        with one_file(path):
            check(path)
    except VideoError as error:
        return error
    return None
