"""The frames of a video at a detector's size, each with its flow."""

import os
from collections.abc import Container, Iterator

import numpy as np

from keras_twostream import data, flow
from keras_twostream._frames import video_of
from keras_twostream.data.video.reading import frame_seconds
from keras_twostream.data.video.resizing import fit_size, resize
from keras_twostream.spec import ClipSpec

Source = str | os.PathLike | np.ndarray
Moment = tuple[int, np.ndarray, np.ndarray]


class Footage:
    """A video at the size of a detector's input.

    Each frame has the flow to the next frame. The last frame has the flow from
    the frame before, and a video of a single frame has no flow.

    Args:
        source: A video file, or (T, H, W, 3) frames, 0..255.
        spec: Short side and flow of the detector.

    Attributes:
        whole: (height, width) of the video.
        size: (height, width) of the resized frames.
        scale: (x, y) pixels of the video per pixel of these frames.
        seconds: (N + 1,) at which frames begin, and the end of the last; None
            where frames were given.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If the frames have another shape.
    """

    def __init__(self, source: Source, spec: ClipSpec) -> None:
        self._source, self._spec = source, spec
        self.seconds: np.ndarray | None = None
        if isinstance(source, str | os.PathLike):
            info = data.probe(source)
            whole = info.height, info.width
            self.seconds = frame_seconds(source)
        else:
            self._source = video_of(source)
            whole = self._source.shape[1:3]
        self.size = fit_size(whole, spec.short_side, spec.resize_to)
        self.whole = whole
        self.scale = np.array(whole[::-1]) / self.size[::-1]

    def __len__(self) -> int:
        """Return the number of frames."""
        if isinstance(self._source, str | os.PathLike):
            return data.count_frames(self._source)
        return len(self._source)

    def __iter__(self) -> Iterator[Moment]:
        """Yield number, (H, W, 3) uint8 frame and (H, W, 2) float32 flow."""
        return self.moments()

    def moments(self, chosen: Container[int] | None = None) -> Iterator[Moment]:
        """Yield the chosen frames in order with their flow, all when None."""
        frames = enumerate(self._frames())
        first = next(frames, None)
        if first is None:
            return
        older: np.ndarray | None = None
        number, frame = first
        for following, newer in frames:
            if chosen is None or number in chosen:
                yield number, frame, self._motion(frame, newer)
            older, number, frame = frame, following, newer
        if chosen is not None and number not in chosen:
            return
        if older is None:
            yield number, frame, np.zeros((*frame.shape[:2], 2), np.float32)
        else:
            yield number, frame, self._motion(older, frame)

    def to_video(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes of these frames in pixels of the video."""
        return _scaled(boxes, self.scale)

    def to_frame(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes of the video in pixels of these frames."""
        return _scaled(boxes, 1 / self.scale)

    def _frames(self) -> Iterator[np.ndarray]:
        if isinstance(self._source, str | os.PathLike):
            yield from data.iter_frames(
                self._source,
                short_side=self._spec.short_side,
                resize_to=self._spec.resize_to,
            )
            return
        for frame in self._source:
            yield resize(np.ascontiguousarray(frame), self.size)

    def _motion(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        spec = self._spec
        pair = np.stack([before, after])
        return flow.compute(pair, spec.flow_algorithm, **spec.flow_parameters)[
            0
        ]


def _scaled(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scale inclusive boxes by (x, y)."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    low, high = boxes[:, :2] * scale, (boxes[:, 2:] + 1) * scale - 1
    return np.concatenate([low, np.maximum(low, high)], 1).astype(np.float32)
