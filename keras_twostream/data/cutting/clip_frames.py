"""The frames that placed clips take, brought inside the video."""

import dataclasses

import numpy as np

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.spec import ClipSpec

SHORT = ("loop", "pad")


@dataclasses.dataclass(frozen=True)
class ClipFrames:
    """The frames that a clip takes from a video.

    Attributes:
        rgb: (..., T, F) frame numbers; None without that stream.
        pairs: (..., T, L, 2) frame numbers of the flow fields; None without
            that stream.
    """

    rgb: np.ndarray | None
    pairs: np.ndarray | None

    @property
    def needed(self) -> np.ndarray:
        """Return the frames to decode, ascending, without repeats."""
        parts = [part for part in (self.rgb, self.pairs) if part is not None]
        return np.unique(np.concatenate([part.ravel() for part in parts]))


def frames_of(
    placement: np.ndarray,
    frames: int,
    spec: ClipSpec,
    short: str = "loop",
    first: int = 0,
) -> ClipFrames:
    """Return the frames of placements, brought inside the video.

    Args:
        placement: (..., T) ints.
        frames: Frames in the video.
        spec: The clip.
        short: Extension of a video shorter than the clip: "loop" starts
            again, "pad" repeats its last frame, without motion. Flow never
            spans the jump of a loop: the neighbouring pair replaces it.
        first: Number of the part's first frame, where only a part of a video
            is used.

    Returns:
        A `ClipFrames` with every number in first..first+frames-1.

    Raises:
        SpecError: If `short` is not one of the two, or there is no frame.
    """
    check_choice("short", short, SHORT)
    if frames < 1:
        raise SpecError(f"A video has at least 1 frame. Received: {frames}")
    placement = np.asarray(placement, np.int64)
    rgb = pairs = None
    if "rgb" in spec.streams:
        rgb = placement[..., None] + spec.rgb_frames()[0]
        rgb = rgb % frames if short == "loop" else rgb.clip(0, frames - 1)
        rgb = rgb + first
    if "flow" in spec.streams:
        pairs = placement[..., None, None] + spec.flow_pairs()[0]
        loops = short == "loop"
        pairs = _looped(pairs, frames) if loops else pairs.clip(0, frames - 1)
        pairs = pairs + first
    return ClipFrames(rgb, pairs)


def _looped(pairs: np.ndarray, frames: int) -> np.ndarray:
    if frames == 1:
        return np.zeros_like(pairs)
    step = pairs[..., 1] - pairs[..., 0]
    first = pairs[..., 0] % frames
    first = np.where(first + step >= frames, first - step, first)
    first = np.where(first + step < 0, first - step, first)
    return np.stack([first, first + step], axis=-1)
