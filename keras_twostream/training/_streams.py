"""From streams to a two-stream network, before training and after."""

import keras
import numpy as np

from keras_twostream.errors import WeightsError
from keras_twostream.inspection import card, keep_card, stream_layers
from keras_twostream.pretrained import cross_modality
from keras_twostream.registry import model_entry


def copy_stream(
    source: keras.Model,
    target: keras.Model,
    stream: str,
    from_stream: str | None = None,
) -> list[str]:
    """Copies one stream's layers, as two-stage training does.

    The papers train the streams apart and fuse trained towers (Feichtenhofer
    et al. 2016). Layers pair by name; a classifier with other classes stays
    as it is. Where only one of the two mixes frames, a kernel through time is
    summed over it, which answers a clip that stands still alike.

    Args:
        source: A model that has the stream.
        target: The model to initialise, changed in place.
        stream: "rgb" or "flow".
        from_stream: The source's stream, when it is the other one: its first
            layer becomes the mean over its input channels (cross-modality
            initialisation, Wang et al. 2016, section 4.1).

    Returns:
        Names of the layers that were copied.

    Raises:
        WeightsError: If nothing pairs, or a tower's layer has another shape.
    """
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    heads = _head_names(target)
    copied = []
    from_stream = from_stream or stream
    for layer in _stream_layers(target, stream):
        name = from_stream + layer.name.removeprefix(stream)
        other = theirs.get(name)
        if other is None:
            continue
        values = [
            _fitted(value, variable.shape)
            for value, variable in zip(
                other.get_weights(), layer.weights, strict=False
            )
        ]
        if [value.shape for value in values] == _shapes(layer):
            layer.set_weights(values)
            copied.append(layer.name)
        elif layer.name not in heads:
            raise WeightsError(
                f"The layer {layer.name} has weights {_shapes(layer)}, and "
                f"{_shapes(other)} in the model it should start from. Build "
                "both with the same options."
            )
    if not copied:
        raise WeightsError(
            f"The model {source.name} has no layers of the stream "
            f"{from_stream!r} "
            f"that {target.name} could start from. It has the streams "
            f"{', '.join(stream_layers(source))}."
        )
    return copied


def _fitted(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel without its time axis, or for other input channels."""
    if value.ndim == len(shape) + 1 and len(shape) == 4:
        value = value.sum(axis=0)
    if value.ndim == len(shape) >= 4 and value.shape[-2] == 3 != shape[-2]:
        value = cross_modality(value, shape[-2])
    return value


def fused_copy(model: keras.Model) -> keras.Model:
    """A network trained with one loss per stream, giving fused scores.

    Args:
        model: A model, perhaps built with `outputs="streams"`.

    Returns:
        The same network with `outputs="fused"` and the same weights; the
        model itself if it gives fused scores already.
    """
    facts = card(model)
    options = facts.get("options", {})
    if options.get("outputs") != "streams":
        return model
    builder = model_entry(facts["architecture"]).builder
    copy = builder(**{**options, "outputs": "fused"})
    trained = {layer.name: layer for layer in model.layers}
    for layer in copy.layers:
        if layer.weights:
            layer.set_weights(trained[layer.name].get_weights())
    keep_card(model, copy)
    return copy


def _stream_layers(model: keras.Model, stream: str) -> list:
    return [
        layer
        for layer in model.layers
        if layer.weights and layer.name.startswith(f"{stream}_")
    ]


def _head_names(model: keras.Model) -> set[str]:
    """Dense layers that end in the number of classes."""
    sizes = {x.shape[-1] for x in keras.tree.flatten(model.output)}
    return {
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense) and layer.units in sizes
    }


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
