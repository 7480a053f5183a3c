"""Copies of weights between single streams and two-stream networks."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.inspection import (
    card,
    head_layers,
    keep_card,
    stated_classes,
    stream_layers,
)
from keras_twostream.pretrained import cross_modality, inflate
from keras_twostream.registry import model_entry

# Towers of Actions ~ Transformations that may start from the same weights.
STATES = ("precondition", "effect")
# Options that change the network but no shape: the convolution that strides,
# the way averages count, and the side that a pool pads.
UNSEEN_OPTIONS = ("stride_in", "count_padding", "pool_padding")


def copy_stream(
    source: keras.Model,
    target: keras.Model,
    stream: str,
    from_stream: str | None = None,
) -> list[str]:
    """Copy one stream's layers, as two-stage training does.

    The papers train the streams apart and fuse trained towers (Feichtenhofer et
    al. 2016). Layers pair by name, and give the same answer for a clip that
    stands still: a kernel of a network on frames is repeated through time and
    divided by its taps (ST-ResNet, section 3.2), and a kernel through time is
    summed over time. A classifier with other classes stays as it is. Towers for
    a precondition and an effect (Wang et al. 2016) both take the one tower of
    the source.

    Args:
        source: A model that has the stream.
        target: The model to initialise, changed in place.
        stream: "rgb" or "flow".
        from_stream: The source's stream, if it is the other one: its first
            layer becomes the mean over its input channels (cross-modality
            initialisation, Wang et al. 2016, section 4.1).

    Returns:
        Names of the layers that were copied.

    Raises:
        WeightsError: If no layers pair, a tower's layer has another shape, or
            the models differ in an option that shapes do not show, or in the
            stream's normalisation.
    """
    _check_options(source, target)
    if from_stream in (None, stream):
        _check_normalization(source, target, stream)
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    heads, same_classes = head_layers(target), _same_classes(source, target)
    copied = []
    for layer in _stream_layers(target, stream):
        other = _counterpart(layer.name, stream, from_stream, theirs)
        if other is None:
            continue
        if layer.name in heads and not same_classes:
            continue
        values = _fitted_weights(other, layer)
        if [value.shape for value in values] == weight_shapes(layer):
            layer.set_weights(values)
            copied.append(layer.name)
        elif layer.name not in heads:
            raise WeightsError(
                f"The layer {layer.name} has weights {weight_shapes(layer)}, "
                f"and {weight_shapes(other)} in the model it should start "
                "from. Build both with the same options."
            )
    if not set(copied) - heads:
        raise WeightsError(
            f"The model {source.name} has no layers of the stream "
            f"{from_stream or stream!r} "
            f"that {target.name} could start from. It has the streams "
            f"{', '.join(stream_layers(source))}."
        )
    return copied


def _same_classes(source: keras.Model, target: keras.Model) -> bool:
    """Return whether heads mean the same, unless their sizes differ."""
    try:
        theirs, ours = (stated_classes(model) for model in (source, target))
    except SpecError:  # a source of another library, or several heads
        return True
    return not (ours and theirs) or ours == theirs


def _check_options(source: keras.Model, target: keras.Model) -> None:
    """Refuse options that change what equal weights compute."""
    ours, theirs = (_built_options(model) for model in (target, source))
    for name in UNSEEN_OPTIONS:
        if name in ours and name in theirs and ours[name] != theirs[name]:
            raise WeightsError(
                f"{source.name} was built with {name}={theirs[name]!r} and "
                f"{target.name} with {name}={ours[name]!r}: the same weights "
                f"mean another network there. Build {target.name} with "
                f"{name}={theirs[name]!r}."
            )


def _check_normalization(
    source: keras.Model, target: keras.Model, stream: str
) -> None:
    """Refuse weights that are used to the same clip in other units."""
    try:
        both = [stream_layers(model)[stream] for model in (source, target)]
    except (SpecError, KeyError):  # another library's, or without the stream
        return
    theirs, ours = (layer.normalization for layer in both)
    if theirs != ours:
        raise WeightsError(
            f"{source.name} normalises {stream} by {theirs} and {target.name} "
            f"by {ours}, so that its weights would see other numbers. Build "
            f"{target.name} with the `normalization` of {source.name}, and the "
            "`flow_bound` of its clip_spec."
        )


def _built_options(model: keras.Model) -> dict[str, Any]:
    """Return the builder's options; none for models of other libraries.

    An option is left out where it has no effect: only a network of residual
    blocks has a place for its strides.
    """
    try:
        options = dict(card(model).get("options", {}))
    except SpecError:
        return {}
    if options.get("backbone", "resnet50") != "resnet50":
        options.pop("stride_in", None)
    return options


def _counterpart(
    name: str,
    stream: str,
    from_stream: str | None,
    layers: Mapping[str, keras.layers.Layer],
) -> keras.layers.Layer | None:
    """Return the source's layer of this name, or of the tower of any state."""
    rest = name.removeprefix(f"{stream}_")
    names = [rest]
    names += [rest.removeprefix(f"{state}_") for state in STATES]
    candidates = (
        layers.get(f"{from_stream or stream}_{rest}") for rest in names
    )
    return next((layer for layer in candidates if layer is not None), None)


def _fitted_weights(
    source: keras.layers.Layer, target: keras.layers.Layer
) -> list[np.ndarray]:
    """Return the source's weights, in the target's shapes if possible."""
    values = source.get_weights()
    shapes = weight_shapes(target)
    if len(values) != len(shapes):
        return values
    return [
        _fitted(value, shape)
        for value, shape in zip(values, shapes, strict=True)
    ]


def _fitted(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Fit a kernel to a shape with other channels or another time axis."""
    if value.ndim == 5 and len(shape) == 4:
        value = value.sum(axis=0)
    if value.ndim == 4 and len(shape) == 5:
        value = inflate(value, shape[0])
    if value.ndim == len(shape) >= 4 and value.shape[-2] == 3 != shape[-2]:
        value = cross_modality(value, shape[-2])
    return value


def fused_copy(model: keras.Model) -> keras.Model:
    """Return a trained network in its form for use: one score per class.

    Args:
        model: A model, perhaps built with `outputs="streams"` or "steps", one
            loss for each stream or step, or with `every_boundary`.

    Returns:
        The same weights in a network that fuses its streams and takes the best
        boundaries; the model itself if it already does so.
    """
    facts = card(model)
    options = facts.get("options", {})
    used: dict[str, Any] = {"every_boundary": False}
    if options.get("outputs") in ("streams", "steps"):
        used["outputs"] = "fused"
    used = {k: v for k, v in used.items() if options.get(k, v) != v}
    if not used:
        return model
    builder = model_entry(facts["architecture"]).builder
    copy = builder(**{**options, **used})
    trained = {layer.name: layer for layer in model.layers}
    for layer in copy.layers:
        if layer.weights:
            layer.set_weights(trained[layer.name].get_weights())
    keep_card(model, copy)
    return copy


def _stream_layers(model: keras.Model, stream: str) -> list[keras.layers.Layer]:
    return [
        layer
        for layer in model.layers
        if layer.weights and layer.name.startswith(f"{stream}_")
    ]


def weight_shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    """Return the shapes of a layer's weights."""
    return [tuple(weight.shape) for weight in layer.weights]
