"""The form of a clip: the frames and flow fields that a model takes.

A `ClipSpec` is plain data. It travels inside the model's input layers and
beside its weights, and everything that cuts clips (decoding, sampling, flow,
caches, in-graph flow, prediction) asks it which frames to take. No Keras here.
"""

import dataclasses
import functools
import numbers
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import numpy as np

from keras_twostream import _html
from keras_twostream.errors import (
    SpecError,
    check_choice,
    check_count,
    check_dict,
    check_fields,
    check_number,
)

STREAMS = ("rgb", "flow")
STREAM_WORDS = {"rgb": "frames", "flow": "motion"}
FUSED = "fused"  # the name of the score of all streams together
BOTH_WAYS = ("bidirectional", "bidirectional_trajectory")
TRAJECTORIES = ("trajectory", "bidirectional_trajectory")
STACKINGS = ("forward", "bidirectional", *TRAJECTORIES)
_ALGORITHMS = {
    "dis": "DIS",
    "farneback": "Farneback",
    "tvl1": "TV-L1",
    "tvl1_opencv": "OpenCV's TV-L1",
    "raft_small": "RAFT (small)",
    "raft_large": "RAFT (large)",
}
FLOW_ALGORITHMS = tuple(_ALGORITHMS)
IN_GRAPH_FLOW = ("tvl1", "raft_small", "raft_large")  # on the Keras backend
SAMPLINGS = ("uniform", "dense", "segments", "whole")
SCORE_FUSIONS = ("logits", "softmax", "sci", "sci_max")
RESIZE_FILTERS = ("area", "bilinear")
ROUNDINGS = ("floor", "round")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """The clip that a model takes, in frames, pixels and flow fields.

    A clip has T steps, `temporal_stride` frames apart. The rgb stream sees F
    frames at each step (F > 1 stacks them on the channel axis), the flow
    stream sees L flow fields at each step, interleaved x1, y1, x2, y2, ...

    Attributes:
        streams: The streams the model has, in the order they are fused.
        clip_length: T, the number of steps.
        frames_per_step: F, frames stacked at one rgb step.
        frame_gap: Frames between two of the F stacked frames.
        temporal_stride: Frames between two steps when testing.
        train_strides: Smallest and largest stride drawn in training.
        frame_rate: Frames per second that strides and flow refer to, or
            None for the video's own rate.
        short_side: Pixels of the frame's short side before cropping, at
            which flow is computed.
        resize_to: (height, width) the frame is stretched to instead of
            keeping its aspect ratio (C3D: (128, 171)), or None.
        resize_filter: "area" averages pixels when it shrinks a frame,
            "bilinear" looks at four of them, as torchvision and DeepMind do.
        cut_to: (height, width) of the middle that is cut out of the resized
            frame before crops are taken (Karpathy et al. 2014), or None.
        crop: (height, width) of the crop the network sees.
        crop_rounding: Rounding of a middle between two pixels: "floor", or
            "round" to the even one, as torchvision.
        flow_length: L, flow fields stacked at one step.
        flow_offset: First field relative to the step's frame: 0 starts at
            the frame, -L/2 centres the stack on it (Feichtenhofer et al.);
            0 where stacks are bidirectional.
        stacking: "forward", "bidirectional", "trajectory" or
            "bidirectional_trajectory" (Simonyan & Zisserman 2014, section
            3.1).
        mean_subtraction: Whether each field loses its mean vector, taken over
            the whole frame before crops (the same section).
        flow_algorithm: "dis", "farneback", "tvl1", "tvl1_opencv" for
            OpenCV's own, of opencv-contrib-python, "raft_small" or
            "raft_large".
        flow_parameters: Parameters of the algorithm that differ from its
            defaults.
        flow_bound: B, pixels at which displacement is clipped.
        sampling: Placement of clips in a video when testing: "uniform",
            "dense", "segments" or "whole".
        score_fusion: Average of the scores of streams and of a video's clips:
            of "logits", of "softmax" probabilities, or of probabilities
            weighted by their concentration ("sci"); "sci_max" averages so
            over a clip's crops alone, and takes the best clip of each class
            (Sun et al. 2015).
        stream_weights: Weight of each stream when scores are fused.
        classes: Names of the model's classes, in the order of its outputs,
            where `clip_spec(model)` gave the spec. They are no part of the
            clip: neither compared nor saved.

    Raises:
        SpecError: If a field is not as above.
    """

    streams: tuple[str, ...] = STREAMS
    clip_length: int = 1
    frames_per_step: int = 1
    frame_gap: int = 1
    temporal_stride: int = 1
    train_strides: tuple[int, int] = (1, 1)
    frame_rate: float | None = 25.0
    short_side: int = 256
    resize_to: tuple[int, int] | None = None
    resize_filter: str = "area"
    cut_to: tuple[int, int] | None = None
    crop: tuple[int, int] = (224, 224)
    crop_rounding: str = "floor"
    flow_length: int = 10
    flow_offset: int = 0
    stacking: str = "forward"
    mean_subtraction: bool = False
    flow_algorithm: str = "dis"
    flow_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flow_bound: float = 20.0
    sampling: str = "uniform"
    score_fusion: str = "logits"
    stream_weights: tuple[float, ...] = ()
    classes: tuple[str, ...] = dataclasses.field(
        default=(), compare=False, repr=False
    )

    def __post_init__(self) -> None:
        for name in ("streams", "train_strides", "crop", "stream_weights"):
            object.__setattr__(self, name, _sequence(name, getattr(self, name)))
        for name in ("resize_to", "cut_to"):
            if getattr(self, name) is not None:
                size = _sequence(name, getattr(self, name))
                object.__setattr__(self, name, size)
        weights = self.stream_weights or (1.0,) * len(self.streams)
        object.__setattr__(self, "stream_weights", weights)
        check_dict("flow_parameters", self.flow_parameters)
        object.__setattr__(self, "flow_parameters", dict(self.flow_parameters))
        _check(self)

    # === Which frames ===

    def rgb_frames(self, stride: int | None = None) -> np.ndarray:
        """Return frame numbers of the rgb stream, relative to the clip's start.

        Args:
            stride: Temporal stride, `temporal_stride` when None.

        Returns:
            (T, F) int array.
        """
        steps = self._steps(stride)
        offsets = np.arange(self.frames_per_step) * self.frame_gap
        return steps[:, None] + offsets[None, :] - self._first()

    def flow_pairs(self, stride: int | None = None) -> np.ndarray:
        """Return (from, to) frames of each flow field, relative to the start.

        Backward fields (bidirectional stacking) have `to` before `from`.

        Args:
            stride: Temporal stride, `temporal_stride` when None.

        Returns:
            (T, L, 2) int array.
        """
        pairs = self._steps(stride)[:, None, None] + self._pair_offsets()
        return pairs - self._first()

    def span(self, stride: int | None = None) -> int:
        """Return the number of consecutive frames a clip covers, with flow."""
        return self._last(stride) - self._first() + 1

    def channels(self, stream: str) -> int:
        """Return channels of one step of `stream`: 3F for rgb, 2L for flow."""
        if stream == "flow":
            return 2 * self.flow_length
        return 3 * self.frames_per_step

    def replace(self, **changes: Any) -> "ClipSpec":
        """Return a copy with some fields changed, checked again.

        Values that depend on a field change with it: weights of streams that
        are dropped, the parameters of another flow algorithm, and the offset
        of a stack of flow that is centred on its frame.

        Raises:
            SpecError: If a field is unknown or has a wrong value.
        """
        known = [field.name for field in _fields()]
        check_fields("A ClipSpec", changes, known)
        if "streams" in changes:
            streams = _sequence("streams", changes["streams"])
            changes.setdefault("stream_weights", self._weights_of(streams))
        if changes.get("flow_algorithm") not in (None, self.flow_algorithm):
            changes.setdefault("flow_parameters", {})
        changes.setdefault("flow_offset", self._offset_after(changes))
        return dataclasses.replace(self, **changes)

    def _offset_after(self, changes: Mapping[str, Any]) -> int:
        """Return the new offset: centred stacks stay so, two-way have none."""
        if changes.get("stacking") in BOTH_WAYS:
            return 0
        length = changes.get("flow_length", self.flow_length)
        centred = self.flow_offset == -(self.flow_length // 2) < 0
        if centred and isinstance(length, numbers.Integral):
            return -(int(length) // 2)
        return self.flow_offset

    def _weights_of(self, streams: tuple[str, ...]) -> tuple[float, ...]:
        own = dict(zip(self.streams, self.stream_weights, strict=True))
        return tuple(own.get(stream, 1.0) for stream in streams)

    def _steps(self, stride: int | None) -> np.ndarray:
        stride = self.temporal_stride if stride is None else stride
        return np.arange(self.clip_length) * stride

    def _pair_offsets(self) -> np.ndarray:
        if self.stacking in BOTH_WAYS:
            half = np.arange(self.flow_length // 2)
            forward = np.stack([half, half + 1], axis=-1)
            return np.concatenate([forward, -forward])
        start = np.arange(self.flow_length) + self.flow_offset
        return np.stack([start, start + 1], axis=-1)

    def _offsets(self) -> np.ndarray:
        """Return the frames of one step, relative to the step's frame."""
        offsets = [np.zeros(1, int)]
        if "rgb" in self.streams:
            offsets.append(np.arange(self.frames_per_step) * self.frame_gap)
        if "flow" in self.streams:
            offsets.append(self._pair_offsets().ravel())
        return np.concatenate(offsets)

    def _first(self) -> int:
        return int(self._offsets().min())

    def _last(self, stride: int | None) -> int:
        return int(self._steps(stride)[-1] + self._offsets().max())

    # === In words ===

    def describe(self) -> dict[str, str]:
        """Return the clip in words.

        Returns:
            A phrase for "clip", for each of the streams, and for "span".
        """
        apart = f", {self.temporal_stride} apart" * (self.clip_length > 1)
        rate, height, width = "the video's own rate", *self.crop
        if self.frame_rate:
            rate = f"{self.frame_rate:g} frames a second"
        words = {
            "clip": f"{_counted(self.clip_length, 'step')}{apart}, at {rate}, "
            f"{width}x{height} px cut from {self._frames_in_words()}"
        }
        if "rgb" in self.streams:
            words["rgb"] = _counted(self.frames_per_step, "frame") + _AT_EACH
        if "flow" in self.streams:
            words["flow"] = self._flow_in_words()
        words["span"] = f"a clip spans {self.span()} frames"
        if self.frame_rate:
            words["span"] += f" ({self.span() / self.frame_rate:.1f} s)"
        return words

    def _frames_in_words(self) -> str:
        if self.resize_to:
            height, width = self.resize_to
            return f"frames stretched to {width}x{height} px"
        words = f"frames whose short side is {self.short_side} px"
        if self.cut_to:
            height, width = self.cut_to
            words += f", their middle {width}x{height}"
        return words

    def _flow_in_words(self) -> str:
        where = f", from frame {self.flow_offset}" * (self.flow_offset != 0)
        return (
            f"{_counted(self.flow_length, 'field')}{_AT_EACH}{where}, "
            f"{_ALGORITHMS[self.flow_algorithm]}, "
            f"{self.stacking.replace('_', ' ')}, "
            + "less the mean of each, " * self.mean_subtraction
            + f"clipped at {self.flow_bound:g} px"
        )

    def _repr_html_(self) -> str:
        words = list(self.describe().items())
        fields = [
            (field.name, getattr(self, field.name)) for field in _fields()
        ]
        every = _html.table(["field", "value"], fields)
        return (
            f"<b>ClipSpec</b>{_html.table([], words)}<details><summary>"
            f"All fields</summary>{every}</details>"
        )

    # === As plain JSON ===

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON-compatible values; `from_json` undoes it."""
        values = dataclasses.asdict(self)
        del values["classes"]
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ClipSpec":
        """Return a spec from `to_json`'s output.

        Raises:
            SpecError: If a field is unknown or has a wrong value.
        """
        known = {field.name for field in _fields()}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SpecError(
                f"A ClipSpec has no field {', '.join(unknown)}. The file may "
                "come from a newer keras_twostream: update the package. "
                f"Known fields: {', '.join(sorted(known))}."
            )
        return cls(**values)


_AT_EACH = " at each step"


def _fields() -> list[dataclasses.Field[Any]]:
    """Return the fields that make up a clip."""
    return [field for field in dataclasses.fields(ClipSpec) if field.compare]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}"


# === Checks ===


def _sequence(name: str, value: Any) -> tuple:
    """Return a tuple of the values, which JSON has as a list."""
    unordered = isinstance(value, str | Mapping | Set)
    if unordered or not isinstance(value, Iterable):
        raise SpecError(
            f"`{name}` must be a tuple or list: ('rgb',), not 'rgb', and "
            f"(224, 224), not 224. Received: {name}={value!r}"
        )
    return tuple(value)


def check_clip_fields(fields: Mapping[str, Any]) -> None:
    """Refuse names of no field of a clip, and values that no clip takes.

    Raises:
        SpecError: If there is such a name or value.
    """
    check_fields("A ClipSpec", fields, _RULES)
    for name, value in fields.items():
        _RULES[name](name, value)


def _check(spec: ClipSpec) -> None:
    check_clip_fields({name: getattr(spec, name) for name in _RULES})
    if len(spec.stream_weights) != len(spec.streams):
        raise SpecError(
            "`stream_weights` needs one weight per stream. Received: "
            f"streams={spec.streams!r}, "
            f"stream_weights={spec.stream_weights!r}"
        )
    check_number("sum of stream_weights", sum(spec.stream_weights))
    if spec.cut_to is not None and "flow" in spec.streams:
        raise SpecError(
            "`cut_to` is for networks of rgb alone: flow on disk is of whole "
            f"frames. Received: cut_to={spec.cut_to!r}, "
            f"streams={spec.streams!r}"
        )
    if spec.stacking in BOTH_WAYS and spec.flow_length % 2:
        raise SpecError(
            "Bidirectional stacking halves flow_length between forward and "
            f"backward fields, so it must be even. Received: flow_length="
            f"{spec.flow_length}"
        )
    if spec.stacking in BOTH_WAYS and spec.flow_offset:
        raise SpecError(
            "Bidirectional stacks start at their frame both ways, so "
            "`flow_offset` must be 0. "
            f"Received: flow_offset={spec.flow_offset}"
        )


# === Checks of one field ===


def _check_streams(name: str, value: Any) -> None:
    streams = _sequence(name, value)
    check_stream_names(streams)
    if len(set(streams)) != len(streams):
        raise SpecError(
            "`streams` must not name a stream twice. "
            f"Received: streams={streams!r}"
        )


def _check_weights(name: str, value: Any) -> None:
    for weight in _sequence(name, value):
        check_number(name, weight, ends=True)


def check_stream_names(streams: tuple[str, ...]) -> None:
    """Refuse names that are of no stream, and an empty list of names.

    Raises:
        SpecError: If there is such a name, or none.
    """
    if not streams or not set(streams) <= set(STREAMS):
        raise SpecError(
            f"`streams` must name one or both of {', '.join(STREAMS)}. "
            f"Received: streams={streams!r}"
        )


def _check_pair(name: str, value: Any) -> None:
    pair = _sequence(name, value)
    whole = all(isinstance(number, numbers.Integral) for number in pair)
    if len(pair) != 2 or not whole:
        raise SpecError(
            f"`{name}` must be two whole numbers. Received: {name}={pair!r}"
        )
    for number in pair:
        check_count(name, number)
    if name == "train_strides" and pair[0] > pair[1]:
        raise SpecError(
            "`train_strides` must be the smallest and the largest stride, in "
            f"this order. Received: train_strides={pair!r}"
        )


def _check_offset(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Integral):
        raise SpecError(
            f"`{name}` must be a whole number. Received: {name}={value!r}"
        )


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SpecError(
            f"`{name}` must be True or False. Received: {name}={value!r}"
        )


def _one_of(choices: Iterable[str]) -> Callable[[str, Any], None]:
    return functools.partial(check_choice, choices=choices)


def _or_none(rule: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    return lambda name, value: None if value is None else rule(name, value)


_RULES: dict[str, Callable[[str, Any], None]] = {
    "streams": _check_streams,
    "clip_length": check_count,
    "frames_per_step": check_count,
    "frame_gap": check_count,
    "temporal_stride": check_count,
    "train_strides": _check_pair,
    "frame_rate": _or_none(check_number),
    "short_side": check_count,
    "resize_to": _or_none(_check_pair),
    "resize_filter": _one_of(RESIZE_FILTERS),
    "cut_to": _or_none(_check_pair),
    "crop": _check_pair,
    "crop_rounding": _one_of(ROUNDINGS),
    "flow_length": check_count,
    "flow_offset": _check_offset,
    "stacking": _one_of(STACKINGS),
    "mean_subtraction": _check_flag,
    "flow_algorithm": _one_of(FLOW_ALGORITHMS),
    "flow_parameters": check_dict,
    "flow_bound": check_number,
    "sampling": _one_of(SAMPLINGS),
    "score_fusion": _one_of(SCORE_FUSIONS),
    "stream_weights": _check_weights,
}
