"""The exported network, with named inputs and outputs."""

from typing import Any

import keras

from keras_twostream import deploy, inspection
from keras_twostream.errors import SpecError
from keras_twostream.onnx_files import Shapes
from keras_twostream.scoring.scorer import scorer
from keras_twostream.spec import FUSED, ClipSpec

LOGITS, PROBABILITIES = "logits", "probabilities"


def with_named_ends(model: keras.Model, flow: bool) -> keras.Model:
    """Return the model with a dict of inputs and a dict of outputs.

    Args:
        model: A model of this library with one head.
        flow: Whether the result takes "frames" and computes its flow.

    Returns:
        A model that gives "logits" and "probabilities", (B, C) float32.

    Raises:
        SpecError: If the model takes frames already.
    """
    _check_inputs(model)
    logits = scorer(model).output[FUSED]
    several = inspection.card(model).get("multi_label")
    ends = {
        LOGITS: _activation("linear", LOGITS)(logits),
        PROBABILITIES: _activation(
            "sigmoid" if several else "softmax", "chances"
        )(logits),
    }
    streams = {tensor.name: tensor for tensor in model.inputs}
    network = keras.Model(streams, ends, name=model.name)
    if not flow:
        return network
    whole = deploy.with_flow(network)
    return keras.Model({"frames": whole.input}, whole.output, name=whole.name)


def _activation(function: str, name: str) -> keras.layers.Layer:
    return keras.layers.Activation(
        function, dtype="float32", name=f"export_{name}"
    )


def _check_inputs(model: keras.Model) -> None:
    names = {tensor.name for tensor in model.inputs}
    streams = inspection.clip_spec(model).streams
    if names - set(streams):
        raise SpecError(
            f"{model.name} takes {', '.join(sorted(names))}, and export needs "
            f"a model that takes {' and '.join(streams)}. Give the model that "
            "with_flow was given, with flow=True."
        )


# === Shapes ===


def frames_spec(spec: ClipSpec) -> ClipSpec:
    """Return the clip of whole frames that a model with flow inside takes.

    The frames have the size `resize_to` where the spec sets it. Otherwise they
    are the square in the middle of a frame whose short side is `short_side`.
    """
    height, width = spec.resize_to or (spec.short_side, spec.short_side)
    return ClipSpec(
        streams=("rgb",),
        clip_length=spec.span(),
        frame_rate=spec.frame_rate,
        short_side=spec.short_side,
        resize_to=spec.resize_to,
        crop=(max(height, spec.crop[0]), max(width, spec.crop[1])),
    )


def input_shapes(
    network: keras.Model,
    size: tuple[int, int],
    batch: int | None,
    fixed: bool,
) -> Shapes:
    """Return the shape of each input by name.

    Args:
        network: Model from `with_named_ends`.
        size: (height, width) of fixed shapes.
        batch: Clips in a batch; None for any number.
        fixed: Whether height and width are fixed where the model leaves
            them open.
    """
    return {
        tensor.name: (batch, *_clip_shape(tensor, size, fixed))
        for tensor in network.inputs
    }


def _clip_shape(
    tensor: Any, size: tuple[int, int], fixed: bool
) -> tuple[int | None, ...]:
    steps, height, width, channels = tensor.shape[1:]
    if fixed:
        height, width = height or size[0], width or size[1]
    return steps, height, width, channels
