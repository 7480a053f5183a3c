"""The frames of a video with their flow in colours, one by one."""

import itertools
import os
from collections.abc import Iterator

import numpy as np

from keras_twostream import flow
from keras_twostream._frames import as_bytes, checked_frames
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.data.video import reading, resizing
from keras_twostream.flow._colour import fast_speed
from keras_twostream.spec import ClipSpec
from keras_twostream.visual import _theme

_CALM = 0.1  # share of a new frame in the speed shown in full colour
_PAUSE = 0.2  # of the last speed: a slower frame is a repeated one
_LONGEST_PAUSE = 3  # frames


def footage(
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    album: Album | None = None,
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield a video's frames, with the motion that the network sees.

    Args:
        source: A video file, or (T, H, W, 3) RGB frames at the spec's rate.
        spec: Frame rate, size and algorithm of the flow.
        album: Flow of this video that the network saw; what is not in it
            is computed.

    Yields:
        (second, frame, motion): two (H, W, 3) uint8 images, the frame in
        its own size, the motion in that of the spec: hue is direction,
        brightness is speed.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If frames have another shape, type or range.
    """
    frames, seconds = _frames(source, spec), _seconds(source, spec)
    shown = _Shown()
    for number, (frame, following) in enumerate(_with_next(frames)):
        motion = shown.motion
        if following is not None or motion is None:
            known = None if album is None else album.get(number)
            if known is None:
                known = _motion(frame, following, spec)
            motion = shown.follow(known)
        second = next(seconds)
        yield second, frame, colours(motion, shown.full_speed)


def colours(motion: np.ndarray, full_speed: float) -> np.ndarray:
    """Return (H, W, 2) flow in pixels in the colours of the pictures."""
    return on_dark(flow.to_rgb(motion, full_speed))


def calmed(full_speed: float, speed: float) -> float:
    """Return the speed to show in full colour: up at once, and down slowly.

    Args:
        full_speed: Pixels that had the full colour in the last picture.
        speed: Pixels that the motion of the next one has, see `fast_speed`.
    """
    return max(1.0, speed, full_speed + _CALM * (speed - full_speed))


def rate_of(source: str | os.PathLike | np.ndarray, spec: ClipSpec) -> float:
    """Return the frames per second of `footage`."""
    if spec.frame_rate is not None:
        return spec.frame_rate
    if isinstance(source, str | os.PathLike):
        return reading.probe(source).fps
    return 25.0


def length_of(source: str | os.PathLike | np.ndarray, spec: ClipSpec) -> int:
    """Return the number of frames of `footage`."""
    if isinstance(source, str | os.PathLike):
        return reading.count_frames(source, spec.frame_rate)
    return len(source)


def _frames(
    source: str | os.PathLike | np.ndarray, spec: ClipSpec
) -> Iterator[np.ndarray]:
    if isinstance(source, str | os.PathLike):
        return reading.iter_frames(source, rate=spec.frame_rate)
    return iter(as_bytes(checked_frames(source)))


def _seconds(
    source: str | os.PathLike | np.ndarray, spec: ClipSpec
) -> Iterator[float]:
    """Yield the second at which each frame begins, without an end."""
    rate, known = rate_of(source, spec), np.zeros(1)
    if isinstance(source, str | os.PathLike):
        known = reading.frame_seconds(source, spec.frame_rate)
    yield from known[:-1].tolist()
    yield from (known[-1] + number / rate for number in itertools.count())


def on_dark(image: np.ndarray) -> np.ndarray:
    """Return flow colours with the panel's colour in place of white."""
    shades = np.array(_theme.PANEL, np.float32) / 255 - 1
    dark = whiteness(image) * shades
    dark += image
    return np.rint(dark, out=dark).astype(np.uint8)


def whiteness(image: np.ndarray) -> np.ndarray:
    """Return the least of each pixel's colours, (H, W, 1) float32."""
    # The least along an axis of three would take ten times as long.
    red, green, blue = np.moveaxis(image, -1, 0)
    least = np.minimum(np.minimum(red, green), blue)
    return least[..., None].astype(np.float32)


def _with_next(frames: Iterator[np.ndarray]):
    """Yield each frame and the one after it, None after the last."""
    current = next(frames, None)
    for following in frames:
        yield current, following
        current = following
    if current is not None:
        yield current, None


def _motion(frame, following, spec: ClipSpec) -> np.ndarray:
    """Return (H, W, 2) flow to the next frame, at the network's size."""
    pair = [frame, frame if following is None else following]
    small = resizing.resize_all(np.stack(pair), **resizing.sizing(spec))
    return flow.compute(small, spec.flow_algorithm, **spec.flow_parameters)[0]


class _Shown:
    """A filter that keeps the picture of motion from flickering.

    Many files repeat frames (ten new ones a second in a file of thirty), so
    that the motion stops and goes. The last picture stays over a few such
    pauses, and the speed shown in full colour rises at once and falls slowly.
    """

    def __init__(self) -> None:
        self.motion: np.ndarray | None = None
        self.full_speed = 1.0
        self._speed, self._pause = 0.0, 0

    def follow(self, motion: np.ndarray) -> np.ndarray:
        """Return the field to show, the new one or the last."""
        speed = fast_speed(motion)
        last, pausing = self.motion, speed < _PAUSE * self._speed
        if last is not None and pausing and self._pause < _LONGEST_PAUSE:
            self._pause += 1
            return last
        self.full_speed = calmed(self.full_speed, speed)
        self.motion, self._speed, self._pause = motion, speed, 0
        return motion
