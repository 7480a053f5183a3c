"""Models for deployment: flow inside the graph, normalisation folded away.

A two-stream network deploys as one file that needs neither OpenCV nor a flow
extraction step: `with_flow(folded(model)).save("deployed.keras")`.
"""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twostream.errors import SpecError, check_choice
from keras_twostream.flow._compute import check_names
from keras_twostream.flow._planes import warp
from keras_twostream.flow._raft_layer import RAFT
from keras_twostream.flow._tvl1_layer import TVL1
from keras_twostream.folding import folded
from keras_twostream.graph import check_functional
from keras_twostream.inspection import clip_spec
from keras_twostream.layers._stream_input import of_known_shape
from keras_twostream.spec import (
    BOTH_WAYS,
    IN_GRAPH_FLOW,
    TRAJECTORIES,
    ClipSpec,
)

__all__ = ["folded", "with_flow"]

# === Parts ===


@keras.saving.register_keras_serializable(package="keras_twostream")
class CheckedFrames(keras.layers.Layer):
    """The frames of a clip, refused where they are of another shape.

    Args:
        frames: Number of frames.
        crop: (height, width) of the crop that is cut from them.
        **kwargs: Keras's own, such as `name`.

    Input shape:
        (B, frames, H, W, 3), 0..255.

    Output shape:
        The same.
    """

    def __init__(self, frames: int, crop: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.crop = (crop[0], crop[1])
        self.input_spec = keras.layers.InputSpec(
            shape=(None, frames, None, None, 3)
        )

    def call(self, frames: Any) -> Any:
        frames = of_known_shape(frames, self.input_spec.shape)
        small = (
            f"Frames must be at least {self.crop[0]}x{self.crop[1]}, the crop "
            "that the network sees."
        )
        size = frames.shape[2:4]
        if None in size:  # after batches of two shapes, as in `of_known_shape`
            import tensorflow as tf

            enough = tf.debugging.assert_greater_equal(
                tf.shape(frames)[2:4], self.crop, message=small
            )
            with tf.control_dependencies([enough]):
                frames = tf.identity(frames)
        elif size[0] < self.crop[0] or size[1] < self.crop[1]:
            raise SpecError(f"{small} Received: {size[0]}x{size[1]}")
        return frames

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"frames": self.input_spec.shape[1], "crop": list(self.crop)}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_twostream")
class TakeFrames(keras.layers.Layer):
    """The rgb stream's steps, cut from the middle of the frames of a clip.

    Args:
        frames: (T, F) frame numbers, as `ClipSpec.rgb_frames()` gives.
        crop: (height, width) of the crop.
        rounding: Rounding of a middle between two pixels, as in `ClipSpec`.
        **kwargs: Keras's own, such as `name`.

    Input shape:
        (B, span, H, W, 3), 0..255.

    Output shape:
        (B, T, height, width, 3F).
    """

    def __init__(
        self,
        frames: Sequence[Sequence[int]] | np.ndarray,
        crop: Sequence[int],
        rounding: str = "floor",
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.frames = np.asarray(frames).tolist()
        self.crop = (crop[0], crop[1])
        self.rounding = rounding

    def call(self, clip: Any) -> Any:
        clip = _centre_crop(clip, self.crop, self.rounding)
        stacked = [
            ops.take(clip, list(frames), axis=1)
            for frames in zip(*self.frames, strict=True)
        ]
        return ops.cast(ops.concatenate(stacked, axis=-1), "float32")

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        steps, stacked = len(self.frames), len(self.frames[0])
        return (input_shape[0], steps, *self.crop, 3 * stacked)

    def get_config(self) -> dict[str, Any]:
        own = {
            "frames": self.frames,
            "crop": list(self.crop),
            "rounding": self.rounding,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_twostream")
class StackFlow(keras.layers.Layer):
    """The flow stream's steps: fields stacked on channels, then cropped.

    Args:
        fields: (T, L) numbers of the fields each step stacks, in order.
        crop: (height, width) of the crop.
        rounding: Rounding of a middle between two pixels, as in `ClipSpec`.
        stacking: As in `flow.stack`.
        mean_subtraction: Whether each field loses its mean vector over the
            whole frame, as in `flow.stack`.
        **kwargs: Keras's own, such as `name`.

    Input shape:
        (B, N, H, W, 2), pixels.

    Output shape:
        (B, T, height, width, 2L), channels x1, y1, x2, y2, ...
    """

    def __init__(
        self,
        fields: Sequence[Sequence[int]] | np.ndarray,
        crop: Sequence[int],
        stacking: str = "forward",
        mean_subtraction: bool = False,
        rounding: str = "floor",
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.fields = np.asarray(fields).tolist()
        self.crop = (crop[0], crop[1])
        self.rounding = rounding
        self.stacking = stacking
        self.mean_subtraction = mean_subtraction

    def call(self, flow: Any) -> Any:
        fields = [
            ops.take(flow, list(fields), axis=1)
            for fields in zip(*self.fields, strict=True)
        ]
        stacked = fields
        if self.stacking in TRAJECTORIES:
            turn = len(fields) // (1 + (self.stacking in BOTH_WAYS))
            stacked = _follow(fields[:turn])
            stacked += _follow(fields[turn:]) if fields[turn:] else []
        if self.mean_subtraction:
            stacked = [
                sampled - ops.mean(field, axis=(-3, -2), keepdims=True)
                for sampled, field in zip(stacked, fields, strict=True)
            ]
        whole = ops.concatenate(stacked, axis=-1)
        return _centre_crop(whole, self.crop, self.rounding)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        steps, length = len(self.fields), len(self.fields[0])
        return (input_shape[0], steps, *self.crop, 2 * length)

    def get_config(self) -> dict[str, Any]:
        own = {
            "fields": self.fields,
            "crop": list(self.crop),
            "stacking": self.stacking,
            "mean_subtraction": self.mean_subtraction,
            "rounding": self.rounding,
        }
        return {**super().get_config(), **own}


def _centre_crop(clip: Any, crop: tuple[int, int], rounding: str) -> Any:
    """Cut (B, N, H, W, C), no smaller than `crop`, to it."""
    batch, steps, height, width, channels = ops.shape(clip)
    top = _margin(height, crop[0], rounding)
    left = _margin(width, crop[1], rounding)
    clip = clip[:, :, top : top + crop[0], left : left + crop[1]]
    # Where sizes are not known before, the shape is known from here on.
    return ops.reshape(clip, (batch, steps, *crop, channels))


def _margin(size: Any, side: int, rounding: str) -> Any:
    free = size - side
    margin = free // 2
    if rounding == "round":  # halves to the even one
        margin = margin + (free % 2) * (margin % 2)
    return margin


def _follow(fields: list[Any]) -> list[Any]:
    """Sample fields (B, T, H, W, 2) along the paths they describe."""
    batch, steps, height, width, _ = ops.shape(fields[0])
    planes = [
        ops.transpose(ops.reshape(f, (-1, height, width, 2)), (3, 0, 1, 2))
        for f in fields
    ]
    followed, moved = [planes[0]], planes[0]
    for field in planes[1:]:
        sampled = ops.stack([warp(field[axis], moved)[0] for axis in (0, 1)])
        followed.append(sampled)
        moved = moved + sampled
    shape = (batch, steps, height, width, 2)
    return [
        ops.reshape(ops.transpose(f, (1, 2, 3, 0)), shape) for f in followed
    ]


# === The model ===


def with_flow(
    model: keras.Model, *, algorithm: str | None = None, **parameters: Any
) -> keras.Model:
    """Return a model that takes raw frames and computes flow by itself.

    Args:
        model: A model of this library, with any streams.
        algorithm: "tvl1", "raft_small" or "raft_large". By default the one
            that the model's ClipSpec asks for, or TV-L1 where that one is
            not computed in the graph.
        **parameters: Parameters of `flow.TVL1` or `flow.RAFT` that differ
            from its defaults. Where the model's ClipSpec asks for the same
            algorithm its own parameters hold, unless they are given here.

    Returns:
        A `keras.Model` from (B, span, H, W, 3) frames, 0..255, to `model`'s
        output. The frames are the `clip_spec(model).span()` consecutive ones
        of a clip, at the spec's frame rate and short side (stretched to
        `resize_to` where the spec has it); the network sees their middle,
        `crop` large. It saves as one `.keras` file, RAFT's weights included;
        these are frozen until `trainable` of the layer "raft" is set.

    Warns:
        UserWarning: If `model` was trained on another algorithm's flow: its
            scores then change, and should be measured again.

    Raises:
        SpecError: If `model` has no stream input of this library, the
            algorithm is not one of the three, or it has no such parameter.
        WeightsError: If RAFT's weights cannot be fetched or verified.

    Example:
        >>> kts.with_flow(model, iterations=10).save("deployed.keras")
        >>> kts.with_flow(model, algorithm="raft_small", updates=4)
    """
    spec = clip_spec(model)
    check_functional(model)
    given = keras.Input((spec.span(), None, None, 3), name="frames")
    check = CheckedFrames(spec.span(), spec.crop, name="checked_frames")
    frames = check(given)
    streams = {}
    if "rgb" in spec.streams:
        take = TakeFrames(
            spec.rgb_frames(),
            spec.crop,
            spec.crop_rounding,
            name="take_frames",
        )
        streams["rgb"] = take(frames)
    if "flow" in spec.streams:
        streams["flow"] = _flow_stream(frames, spec, algorithm, parameters)
    _check_inputs(model)
    # In the model's own structure: of a dict in place of its list, Keras
    # infers shapes in the order of the alphabet.
    inputs = keras.tree.map_structure(lambda x: streams[x.name], model.input)
    return keras.Model(given, model(inputs), name=f"{model.name}_with_flow")


def _flow_stream(
    frames: Any,
    spec: ClipSpec,
    algorithm: str | None,
    parameters: dict[str, Any],
) -> Any:
    algorithm = _algorithm(spec, algorithm)
    if spec.flow_algorithm == algorithm:
        parameters = {**spec.flow_parameters, **parameters}
    wanted = spec.flow_pairs()
    pairs, place = np.unique(wanted.reshape(-1, 2), axis=0, return_inverse=True)
    flow = _flow_layer(algorithm, pairs.tolist(), parameters)(frames)
    return StackFlow(
        place.reshape(wanted.shape[:2]),
        spec.crop,
        stacking=spec.stacking,
        mean_subtraction=spec.mean_subtraction,
        rounding=spec.crop_rounding,
        name="stack_flow",
    )(flow)


def _algorithm(spec: ClipSpec, asked: str | None) -> str:
    """Return the algorithm for the graph; warn where it is another."""
    own = spec.flow_algorithm
    if asked is not None:
        check_choice("algorithm", asked, IN_GRAPH_FLOW)
    chosen = asked or (own if own in IN_GRAPH_FLOW else "tvl1")
    if chosen != own.removesuffix("_opencv"):
        warnings.warn(
            f"The model was made for {own} flow, and with_flow computes "
            f"{chosen}: its scores will differ. Measure them, or fine-tune "
            f"the model with flow_algorithm={chosen!r}.",
            stacklevel=4,
        )
    return chosen


def _flow_layer(
    algorithm: str, pairs: list[list[int]], parameters: dict[str, Any]
) -> keras.layers.Layer:
    kind = TVL1 if algorithm == "tvl1" else RAFT
    check_names(algorithm, parameters, _own_parameters(kind))
    if algorithm == "tvl1":
        return TVL1(pairs, name="tvl1", **parameters)
    layer = RAFT(algorithm, pairs, name="raft", **parameters)
    layer.trainable = False
    return layer


def _own_parameters(kind: type[keras.layers.Layer]) -> list[str]:
    known = inspect.signature(kind).parameters.values()
    return [p.name for p in known if p.kind is p.KEYWORD_ONLY]


def _check_inputs(model: keras.Model) -> None:
    names = [tensor.name for tensor in model.inputs]
    if set(names) - {"rgb", "flow"}:
        raise SpecError(
            "with_flow can feed inputs named rgb and flow. "
            f"Received: a model with inputs {', '.join(names)}"
        )
