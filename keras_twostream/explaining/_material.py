"""Material to explain: the windows of a video, or the clips of a model.

Both say where a clip lies: which of the frames each of its steps is, and which
part of a frame it shows.
"""

import abc
import os
from collections.abc import Iterator, Mapping

import numpy as np

from keras_twostream.data import Windows
from keras_twostream.data.cutting.cropping import seen_part
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec

Clips = dict[str, np.ndarray]

_KEPT = 2**29  # bytes of clips that are kept rather than cut a second time
_APART = 1e-6  # frames; steps of a short video may lie on one frame


class Material(abc.ABC):
    """Clips, and their places on frames.

    Attributes:
        frames: Frames on the timeline.
        size: (height, width) of a frame.
        rate: Frames per second.
        spans: (N, 2) first and last second of each clip.
        part: Top, left, bottom and right edge of what a clip shows, as shares
            of the frame.
    """

    frames: int
    size: tuple[int, int]
    rate: float
    spans: np.ndarray
    part: tuple[float, float, float, float]

    @abc.abstractmethod
    def batches(self, size: int) -> Iterator[Clips]:
        """Yield clips in order, at most `size` at once."""

    @abc.abstractmethod
    def on_frames(self, clip: int, stream: str) -> tuple[int, np.ndarray]:
        """Return the first frame of a clip, and (frames, T) weights of steps.

        Args:
            clip: Number of the clip.
            stream: "rgb" or "flow".
        """


class VideoMaterial(Material):
    """The windows of a video, as `predict` sees them.

    Args:
        source: A video file, or (T, H, W, 3) frames.
        spec: The clip.
        hop: Seconds from one window to the next, see `Windows`.
    """

    def __init__(
        self,
        source: str | os.PathLike | np.ndarray,
        spec: ClipSpec,
        hop: float | None,
    ) -> None:
        self._windows, self._spec = Windows(source, spec, hop), spec
        self.frames, self.size = self._windows.frames, self._windows.size
        self.rate, self.spans = self._windows.rate, self._windows.spans
        self.part = seen_part(self.size, spec)
        self._kept: list[Clips] = []
        self._whole = False

    def batches(self, size: int) -> Iterator[Clips]:
        """Yield clips in order; those of a short video are kept."""
        if self._whole:
            yield from self._kept
            return
        kept: list[Clips] = []
        room = _KEPT
        for batch in self._windows.batches(size):
            room -= sum(clip.nbytes for clip in batch.values())
            if room > 0:
                kept.append(batch)
            yield batch
        self._whole = room > 0
        self._kept = kept if self._whole else []

    def on_frames(self, clip: int, stream: str) -> tuple[int, np.ndarray]:
        """Return frames and weights, see `Material.on_frames`."""
        first, end = self._windows.places[clip]
        steps = self._windows.steps(clip) + _centre(self._spec, stream)
        steps = steps + _APART * np.arange(len(steps))
        frames = np.arange(first, max(first + 1, end))
        return int(first), interpolation(frames, steps)


class ClipMaterial(Material):
    """One clip of a model, whose steps are the frames.

    Args:
        clip: (1, T, H, W, C) by stream.
        spec: The clip's form.
    """

    def __init__(self, clip: Mapping[str, np.ndarray], spec: ClipSpec) -> None:
        self._clip = dict(clip)
        _, steps, height, width, _ = next(iter(clip.values())).shape
        self.frames, self.size = steps, (height, width)
        self.rate = (spec.frame_rate or 25.0) / spec.temporal_stride
        self.spans = np.array([[0.0, steps / self.rate]])
        self.part = (0.0, 0.0, 1.0, 1.0)

    def batches(self, size: int) -> Iterator[Clips]:
        """Yield the one clip."""
        del size
        yield self._clip

    def on_frames(self, clip: int, stream: str) -> tuple[int, np.ndarray]:
        """Return each step for itself, see `Material.on_frames`."""
        del clip, stream
        return 0, np.eye(self.frames)


def interpolation(wanted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return (wanted, known) weights of linear interpolation.

    Outside the known places, which ascend, the nearest one counts.
    """
    rows = [np.interp(wanted, known, row) for row in np.eye(len(known))]
    return np.stack(rows, axis=-1)


def _centre(spec: ClipSpec, stream: str) -> float:
    """Return the middle of what a step sees, in frames from its own one."""
    if stream == "rgb":
        return (spec.frames_per_step - 1) * spec.frame_gap / 2
    return float(spec.flow_pairs()[0].mean() - spec.rgb_frames()[0, 0])


def clips_of(
    source: Mapping[str, np.ndarray], spec: ClipSpec
) -> list[dict[str, np.ndarray]]:
    """Return the clips of a batch one by one, checked against a spec.

    Args:
        source: (N, T, H, W, C) by stream; other keys are ignored.
        spec: The clip.

    Raises:
        SpecError: If a stream is missing or has another form, values that
            are no numbers, or another count of clips.
    """
    arrays = {}
    for stream in spec.streams:
        if stream not in source:
            raise SpecError(
                f"The clips have no {stream!r}, and the model needs "
                f"{' and '.join(spec.streams)}. "
                f"Received: {', '.join(map(str, source)) or 'nothing'}"
            )
        array = np.asarray(source[stream], np.float32)
        form = (spec.clip_length, spec.channels(stream))
        if array.ndim != 5 or (array.shape[1], array.shape[-1]) != form:
            raise SpecError(
                f"Clips of {stream} are (N, {form[0]}, H, W, {form[1]}). "
                f"Received: shape={array.shape}"
            )
        if not np.isfinite(array).all():
            raise SpecError(
                f"The clips of {stream} hold values that are no numbers."
            )
        arrays[stream] = array
    count, *others = {len(array) for array in arrays.values()}
    if others or not count:
        raise SpecError(
            "Clips are as many in each stream, one or more. Received: "
            + ", ".join(f"{len(x)} of {name}" for name, x in arrays.items())
        )
    return [
        {stream: array[i : i + 1] for stream, array in arrays.items()}
        for i in range(count)
    ]
