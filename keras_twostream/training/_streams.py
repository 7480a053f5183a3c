"""Starting a two-stream network from networks of one stream each."""

import keras

from keras_twostream.errors import WeightsError
from keras_twostream.inspection import stream_layers


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
