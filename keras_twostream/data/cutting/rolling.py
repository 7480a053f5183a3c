"""A rolling window over frames that arrive one by one."""

import collections

import numpy as np

from keras_twostream.data.cutting import cropping, placement
from keras_twostream.data.cutting.clip_frames import frames_of
from keras_twostream.data.cutting.footage import Footage
from keras_twostream.data.cutting.kept_flow import KeptFlow
from keras_twostream.data.cutting.windowing import WHOLE_SECONDS
from keras_twostream.data.video import resizing
from keras_twostream.spec import ClipSpec

_USUAL_RATE = 25.0  # frames per second, where neither spec nor source says


class Ticker:
    """A steady clock that takes, at each tick, the frame nearest in time.

    Args:
        rate: Ticks per second.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next, self._last = 0, 0.0

    def ticks(self, second: float) -> tuple[int, int]:
        """Return how many ticks the frame before, and this one, stand for.

        Args:
            second: Time of this frame, not before the one before.

        Returns:
            Ticks nearer to the last frame, and nearer to this one.
        """
        end = int(np.floor(second * self.rate + 1e-6)) + 1
        middle = (self._last + second) / 2
        turn = int(np.ceil(middle * self.rate - 1e-6))
        turn = min(max(turn, self._next), end)
        counts = turn - self._next, end - turn
        self._next, self._last = max(end, self._next), second
        return counts


class Rolling:
    """The newest frames of a stream, as clips for a model.

    Frames are kept at the size at which flow is computed, and no more of them
    than a clip spans. The flow of a pair of frames is computed once, however
    many windows it lies in.

    Args:
        spec: The clip.
        rate: Frames per second that arrive; the spec's own when None.

    Attributes:
        rate: Frames per second.
        length: Frames of a window.
        newest: Number of the newest frame, -1 before the first one.
    """

    def __init__(self, spec: ClipSpec, rate: float | None = None) -> None:
        self._spec = spec
        self.rate = spec.frame_rate or rate or _USUAL_RATE
        whole = spec.sampling in placement.OF_WHOLE_VIDEOS
        self.length = round(WHOLE_SECONDS * self.rate) if whole else spec.span()
        self._steps = np.arange(spec.clip_length) * spec.temporal_stride
        if whole:
            self._steps = placement.views(self.length, spec)[0]
        self._frames: collections.deque[np.ndarray] = collections.deque(
            maxlen=self.length
        )
        self._flow = KeptFlow(spec)
        self.newest = -1

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return a frame at the size that is kept."""
        small = resizing.resize_all(image[None], **resizing.sizing(self._spec))
        return small[0]

    def push(self, small: np.ndarray) -> None:
        """Add the next frame, from `fit`; the oldest one may leave."""
        if self._frames and self._frames[-1].shape != small.shape:
            self._frames.clear()  # a camera that was turned
        self._frames.append(small)
        self.newest += 1

    def skip(self, count: int) -> None:
        """Forget the frames, and leave out numbers: no window spans a loss."""
        self._frames.clear()
        self.newest += count

    @property
    def is_full(self) -> bool:
        """Check if there are frames enough for a window."""
        return len(self._frames) == self.length

    def snapshot(self) -> tuple[int, list[np.ndarray]]:
        """Return the number of the window's first frame, and its frames."""
        return self.newest + 1 - len(self._frames), list(self._frames)

    def clip(
        self, first: int, frames: list[np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the model's input for one window.

        Args:
            first: Number of the window's first frame.
            frames: Its frames, from `snapshot`.

        Returns:
            "rgb" (1, T, H, W, 3F) uint8 and/or "flow" (1, T, H, W, 2L).
        """
        chosen = frames_of(self._steps[None], len(frames), self._spec)
        needed = chosen.needed
        shown = np.stack([frames[number] for number in needed])

        def fields_of(pairs: np.ndarray) -> np.ndarray:
            return self._flow.of(pairs + first, needed + first, shown)

        footage = Footage(shown, needed, chosen, self._spec, fields_of)
        return footage.crop(cropping.centre_of(footage.size, self._spec))

    def motion(self) -> np.ndarray | None:
        """Return the newest field that was computed, (H, W, 2), if any."""
        return self._flow.newest()

    @property
    def computed(self) -> int:
        """Number of fields computed so far."""
        return self._flow.computed
