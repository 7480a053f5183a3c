"""Sources of clips from frames and flow of other tools."""

import contextlib
import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_twostream import flow
from keras_twostream._opencv import cv2
from keras_twostream.data.layouts.layout import Layout, read_layout
from keras_twostream.data.source import Source, check_adjacent
from keras_twostream.data.video import limits, opening
from keras_twostream.data.video.boundary import one_file
from keras_twostream.data.video.headers import picture_size
from keras_twostream.data.video.resizing import fitted, fitted_size, sizing
from keras_twostream.errors import VideoError
from keras_twostream.spec import ClipSpec

BOUND = 20.0  # px; what nearly everybody passes, whatever the tool's default
_TRIES = 3


class LayoutSource(Source):
    """A source of a folder of frames and flow, at the spec's frame rate.

    These tools write whole frames. Frames and fields are resized to the spec's
    size, and displacements scale with them. The folder is assumed to have the
    spec's frame rate.

    Args:
        path: One video's folder of frames, or of flow.
        spec: The clip.
        bound: Displacement in pixels at the extreme levels of the flow.

    Attributes:
        frames: Frames of the video.
        size: (height, width).
        layout: The folder's layout.

    Raises:
        VideoError: If no known tool wrote the folder, or it lacks a stream.
    """

    has_fields = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        spec: ClipSpec,
        bound: float = BOUND,
    ) -> None:
        self.layout, self._bound = _layout(os.fspath(path)), bound
        _check(self.layout, spec)
        self.frames, self.rate = self.layout.frames, spec.frame_rate
        frames = self.layout.files["rgb"]
        self._rgb = [frames[index] for index in sorted(frames)]
        self._x = self.layout.files["x"]
        self._y = self.layout.files["y"]
        shown = self._rgb[0] if self._rgb else next(iter(self._x.values()))
        self._sizing = sizing(spec)
        self.size = fitted_size(_image(shown).shape[:2], **self._sizing)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        return np.stack([self._frame(self._rgb[index]) for index in indices])

    def _frame(self, file: str) -> np.ndarray:
        image = _image(file, cv2.IMREAD_COLOR_RGB)
        frame = fitted(image, **self._sizing)
        if frame.shape[:2] != self.size:
            raise VideoError(
                f"{file} has {image.shape[1]}x{image.shape[0]} pixels, which "
                "is another shape than that of its video's first frame. Write "
                "the frames again, all of one size."
            )
        return frame

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """Return flow fields, see `Source.fields`."""
        return _fields_of_pairs(pairs, self.size, self._field)

    def _field(self, start: int) -> np.ndarray:
        index = self.layout.first + start + self.layout.shift
        if index not in self._x or index not in self._y:
            raise VideoError(
                f"{self.layout.path} lacks flow field {index}. "
                "`keras-twostream doctor` lists what is missing."
            )
        files = self._x[index], self._y[index]
        with one_file(files[0]):
            levels = np.stack([_image(file) for file in files], axis=-1)
        zero = zero_level(next(iter(self._x.values())), self.layout.name)
        step, first = flow.levels_to_pixels(self._bound, zero=zero)
        field = levels * np.float32(step) + np.float32(first)
        return flow.resize(field, self.size)


class NpySource(Source):
    """A source of kinetics-i3d's arrays (1, T, H, W, C) in [-1, 1].

    Arrays of the network's size, as DeepMind publishes them, are already
    cropped and used unchanged. Others are whole frames, resized to the spec's
    size.

    Args:
        path: The array of either stream. The other stream's file has "flow"
            in its name in place of the last "rgb" here, or the reverse.
        spec: The clip.
        bound: Displacement in pixels at -1 and 1 of the flow.

    Attributes:
        frames: Number of frames, T.
        size: (height, width).

    Raises:
        VideoError: If an array is missing or of another shape.
    """

    has_fields = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        spec: ClipSpec,
        bound: float = BOUND,
    ) -> None:
        files = {"rgb": _other(path, "rgb"), "flow": _other(path, "flow")}
        self._arrays = {
            stream: _array(files[stream], channels)
            for stream, channels in (("rgb", 3), ("flow", 2))
            if stream in spec.streams
        }
        any_array = next(iter(self._arrays.values()))
        self.frames, self.rate = len(any_array), spec.frame_rate
        self._bound = bound
        as_they_are = any_array.shape[1:3] == spec.crop
        self._sizing = {} if as_they_are else sizing(spec)
        self.size = fitted_size(any_array.shape[1:3], **self._sizing)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames, see `Source.read`."""
        values = (self._arrays["rgb"][indices] + 1) * 127.5
        frames = np.rint(values).clip(0, 255).astype(np.uint8)
        return np.stack([fitted(frame, **self._sizing) for frame in frames])

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """Return flow fields, see `Source.fields`."""
        return _fields_of_pairs(pairs, self.size, self._field)

    def _field(self, start: int) -> np.ndarray:
        field = np.asarray(self._arrays["flow"][start], np.float32)
        return flow.resize(field * self._bound, self.size)


@functools.lru_cache(maxsize=4096)
def zero_level(file: str, name: str) -> int:
    """Return the level of pixels without motion in a flow image, 127 or 128.

    Args:
        file: The image.
        name: Name of the layout; its tool's level is the default where no
            pixel is without motion.
    """
    counts = np.bincount(_image(file).ravel(), minlength=256)
    if counts[127] == counts[128]:
        return 127 if name == "mmaction2" else 128
    return 127 if counts[127] > counts[128] else 128


@functools.lru_cache(maxsize=1024)
def _layout(path: str) -> Layout:
    return read_layout(path)


def _check(layout: Layout, spec: ClipSpec) -> None:
    if "rgb" in spec.streams and not layout.files["rgb"]:
        raise VideoError(f"{layout.path} holds no frames, only flow.")
    if "flow" in spec.streams and not layout.fields:
        raise VideoError(
            f"{layout.path} holds no flow in x and y. Compute it with "
            "`keras-twostream extract` from the videos."
        )


def _fields_of_pairs(
    pairs: np.ndarray,
    size: tuple[int, int],
    field: Callable[[int], np.ndarray],
) -> np.ndarray:
    check_adjacent(pairs, "The folder")
    fields = np.zeros((len(pairs), *size, 2), np.float32)
    for place in np.flatnonzero(pairs[:, 1] - pairs[:, 0]):
        fields[place] = field(int(pairs[place, 0]))
    return fields


def _image(path: str, flags: int = cv2.IMREAD_GRAYSCALE) -> np.ndarray:
    image = read_picture(path, flags)
    if image is None:
        raise VideoError(f"Cannot read {path}: it is not a whole image.")
    return image


def read_picture(path: str, flags: int) -> np.ndarray | None:
    """Return a picture file as OpenCV reads it, None if it is damaged.

    Raises:
        VideoError: If it is no file, or has more pixels than the limit.
    """
    opening.check_file(path)
    content = np.fromfile(path, np.uint8)
    size = picture_size(content)
    if size is not None:
        limits.check_pixels(path, *size)
    with one_file(path):
        return cv2.imdecode(content, flags)


def _other(path: str | os.PathLike, stream: str) -> Path:
    path = Path(path)
    last = r"(rgb|flow)(?!.*(rgb|flow))"  # "flow" is in "flowers" too
    return path.with_name(re.sub(last, stream, path.stem) + path.suffix)


def _mapped(path: Path) -> np.ndarray:
    """Return the array of an .npy file without reading it."""
    # NumPy reads headers by `ast`, at which Python 3.11 may fail by chance
    # while another thread does the same (python/cpython#106905).
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SystemError):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _array(path: Path, channels: int) -> np.ndarray:
    opening.check_file(path)
    with one_file(path):  # NumPy's parser of headers raises anything
        array = _mapped(path)
    fits = array.ndim == 5 and array.shape[::4] == (1, channels)
    if not fits or not array.size:
        raise VideoError(
            f"Cannot read {path}: expected an array of shape (1, T, H, W, "
            f"{channels}). Received: {array.shape}"
        )
    return array[0]
