"""From streams to a two-stream network, before training and after."""

import keras

from keras_twostream.errors import WeightsError
from keras_twostream.inspection import card, stream_layers, update_card
from keras_twostream.registry import model_entry


def copy_stream(
    source: keras.Model, target: keras.Model, stream: str
) -> list[str]:
    """Copies one stream's layers, as two-stage training does.

    The papers train the streams apart and fuse trained towers (Feichtenhofer
    et al. 2016). Layers pair by name; a classifier with other classes stays
    as it is.

    Args:
        source: A model that has the stream.
        target: The model to initialise, changed in place.
        stream: "rgb" or "flow".

    Returns:
        Names of the layers that were copied.

    Raises:
        WeightsError: If nothing pairs, or a tower's layer has another shape.
    """
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    heads = _head_names(target)
    copied = []
    for layer in _stream_layers(target, stream):
        other = theirs.get(layer.name)
        if other is None:
            continue
        if _shapes(layer) == _shapes(other):
            layer.set_weights(other.get_weights())
            copied.append(layer.name)
        elif layer.name not in heads:
            raise WeightsError(
                f"The layer {layer.name} has weights {_shapes(layer)}, and "
                f"{_shapes(other)} in the model it should start from. Build "
                "both with the same options."
            )
    if not copied:
        raise WeightsError(
            f"The model {source.name} has no layers of the stream {stream!r} "
            f"that {target.name} could start from. It has the streams "
            f"{', '.join(stream_layers(source))}."
        )
    return copied


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
    kept = {key: facts[key] for key in ("classes", "head_trained")}
    update_card(copy, **kept)
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
