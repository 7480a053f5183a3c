"""Decoded frames and flow of some clips, for any number of crops."""

from collections.abc import Callable

import numpy as np

from keras_twostream import flow
from keras_twostream.data.cache import PackedSource
from keras_twostream.data.cutting import augmentation, cropping
from keras_twostream.data.cutting.clip_frames import ClipFrames, frames_of
from keras_twostream.data.cutting.packed_footage import (
    PackedFootage,
    distinct,
    distinct_pairs,
)
from keras_twostream.data.source import Source
from keras_twostream.flow._fields import mean_motion
from keras_twostream.spec import TRAJECTORIES, ClipSpec


def footage_of(
    source: Source, placements: np.ndarray, spec: ClipSpec, short: str = "loop"
) -> "Footage | PackedFootage":
    """Return the footage of some clips, with flow from disk if available."""
    chosen = frames_of(placements, source.frames, spec, short, source.first)
    if isinstance(source, PackedSource) and PackedFootage.serves(spec):
        return PackedFootage(source, chosen, spec.mean_subtraction)
    if not source.has_fields:
        numbers = chosen.needed
        return Footage(source.read(numbers), numbers, chosen, spec)
    shown = np.empty(0, int) if chosen.rgb is None else np.unique(chosen.rgb)
    frames = np.empty((0, *source.size, 3), np.uint8)
    if len(shown):
        frames = source.read(shown)
    return Footage(frames, shown, chosen, spec, source.fields)


class Footage:
    """Decoded frames of some clips, with their flow, ready to be cropped.

    Frames and fields that several steps or clips share are stored once:
    cropping works on the distinct ones, and steps are gathered at the end.

    Args:
        frames: (N, H, W, 3) uint8, decoded and resized.
        numbers: (N,) numbers of these frames in the video, ascending.
        chosen: The frames that the clips take.
        spec: The clip.
        fields_of: Function from (M, 2) pairs of frames of the video to their
            flow; computed from `frames` when None.
    """

    def __init__(
        self,
        frames: np.ndarray,
        numbers: np.ndarray,
        chosen: ClipFrames,
        spec: ClipSpec,
        fields_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self._spec = spec
        self.size = frames.shape[1:3]
        self._frames = self._fields = None
        if chosen.rgb is not None:
            shown, self._steps = distinct(chosen.rgb)
            self._frames = frames[np.searchsorted(numbers, shown)]
        if chosen.pairs is not None:
            pairs, self._places = distinct_pairs(chosen.pairs)
            if fields_of is None:
                self._fields = flow.compute_pairs(
                    frames,
                    np.searchsorted(numbers, pairs),
                    spec.flow_algorithm,
                    **spec.flow_parameters,
                )
            else:
                self._fields = fields_of(pairs)
            if spec.stacking in TRAJECTORIES:
                self._follow_trajectories(self._fields)
            elif spec.mean_subtraction:
                self._fields = self._fields - mean_motion(self._fields)

    def crop(
        self,
        crop: cropping.Crop,
        colour: np.ndarray | None = None,
        flow_values: str = "scaled",
        out: dict[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the clips under one crop.

        Args:
            crop: The rectangle, for all frames of both streams.
            colour: (3, 4) matrix of `draw_colour`, or None.
            flow_values: "scaled" or "unscaled", see `crop_flow`.
            out: Arrays to write the clips to, instead of new ones.

        Returns:
            "rgb" (..., T, H, W, 3F) uint8 and/or "flow" (..., T, H, W, 2L)
            float32, with the leading axes of the placements.
        """
        clip = {}
        if self._frames is not None:
            frames = cropping.crop_rgb(self._frames, crop)
            if colour is not None:
                frames = augmentation.apply_colour(frames, colour)
            clip["rgb"] = _on_channels(frames, self._steps)
        if self._fields is not None:
            fields = cropping.crop_flow(self._fields, crop, flow_values)
            clip["flow"] = _on_channels(fields, self._places)
        if out is None:
            return clip
        for stream, array in clip.items():
            out[stream][...] = array
        return out

    def _follow_trajectories(self, fields: np.ndarray) -> None:
        """Replace fields by the stacks of each step, on the whole frame.

        Points are followed even where they leave the crop, and displacement
        is that of the frame, however the crop is resized or mirrored.
        """
        *steps, length = self._places.shape
        wanted, places = np.unique(
            self._places.reshape(-1, length), axis=0, return_inverse=True
        )
        self._fields = np.stack(
            [
                flow.stack(
                    fields[row],
                    self._spec.stacking,
                    self._spec.mean_subtraction,
                )
                for row in wanted
            ]
        )
        self._places = places.reshape(*steps, 1)


def _on_channels(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Gather (N, H, W, C) at `places` (..., K) into (..., H, W, K*C)."""
    *leading, count = places.shape
    if count == 1:
        return images[places[..., 0]]
    # Moving a displacement as one item of 8 bytes is several times faster.
    whole = images.dtype == np.float32 and images.shape[-1] == 2
    pixels = images.view(np.float64) if whole else images
    result = np.empty(
        (*leading, *pixels.shape[1:3], count, pixels.shape[-1]), pixels.dtype
    )
    for place in np.ndindex(*leading):
        for k, number in enumerate(places[place]):
            result[(*place, ..., k, slice(None))] = pixels[number]
    return result.reshape(*result.shape[:-2], -1).view(images.dtype)
