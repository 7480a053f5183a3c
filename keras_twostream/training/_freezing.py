"""The layers that a recipe leaves as they are."""

import collections
import re
import weakref

import keras

from keras_twostream.errors import SpecError
from keras_twostream.graph import operation_of
from keras_twostream.inspection import stream_layers
from keras_twostream.training._recipes import Recipe

# Names of the layers that a recipe froze, and the rates of the dropout that it
# turned off, for the next one to undo.
_frozen: weakref.WeakKeyDictionary[keras.Model, list[str]] = (
    weakref.WeakKeyDictionary()
)
_rates: weakref.WeakKeyDictionary[keras.Model, dict[str, float]] = (
    weakref.WeakKeyDictionary()
)


def freeze(model: keras.Model, recipe: Recipe) -> list[str]:
    """Freeze the layers that a recipe freezes.

    Where it trains the last layers alone, there is no dropout before the
    others: they are fixed features.

    Returns:
        Names of the newly frozen layers.

    Raises:
        SpecError: If a pattern of `recipe.frozen` matches no layer.
    """
    for name in _frozen.pop(model, ()):
        model.get_layer(name).trainable = True
    for name, rate in _rates.pop(model, {}).items():
        model.get_layer(name).rate = rate
    _rates[model] = _without_dropout(model, recipe.retrain)
    wanted = _named(model, recipe) + _below(model, recipe.frozen_below)
    wanted += _earlier(model, recipe.retrain)
    frozen = [layer.name for layer in wanted if layer.trainable]
    for layer in wanted:
        layer.trainable = False
    if recipe.partial_batch_norm:
        frozen += _freeze_batch_norm(model)
    _frozen[model] = frozen
    return frozen


def _named(model: keras.Model, recipe: Recipe) -> list[keras.layers.Layer]:
    layers = []
    for pattern in recipe.frozen:
        matches = [x for x in model.layers if re.search(pattern, x.name)]
        if not matches:
            raise SpecError(
                f"The recipe {recipe.name!r} freezes layers that match "
                f"{pattern!r}, but {model.name} has none. Change `frozen`."
            )
        layers += matches
    return layers


def _below(model: keras.Model, pattern: str | None) -> list:
    """Return layers with weights that lead to the first one that matches."""
    matches = [
        x for x in model.layers if pattern and re.search(pattern, x.name)
    ]
    if not matches:
        return []
    below = keras.Model(model.inputs, matches[0].input)
    return [layer for layer in below.layers if layer.weights]


def _earlier(model: keras.Model, retrained: int) -> list[keras.layers.Layer]:
    """Return layers with weights before the last `retrained` of each path."""
    if not retrained:
        return []
    places = places_from_end(model)
    return [
        layer
        for layer in model.layers
        if layer.weights and places[layer.name] > retrained
    ]


def _without_dropout(model: keras.Model, retrained: int) -> dict[str, float]:
    """Turn off dropout before layers that do not train; return its rates."""
    if not retrained:
        return {}
    places, rates = places_from_end(model), {}
    for layer in model.layers:
        # A dropout has the place of the kernel before it.
        fixed = places[layer.name] > retrained + 1
        if fixed and isinstance(layer, keras.layers.Dropout):
            rates[layer.name], layer.rate = layer.rate, 0.0
    return rates


def places_from_end(model: keras.Model) -> dict[str, int]:
    """Return the place of each layer, counted from the outputs.

    Layers with a kernel count, along the longest path; the classifier's
    place is 1. Those without one, such as batch normalisation, have the place
    of the kernel before them.

    Returns:
        A dict from layer name to place.
    """
    after: dict[str, int] = collections.defaultdict(int)
    for layer in reversed(model.layers):
        here = after[layer.name] + _has_kernel(layer)
        for tensor in keras.tree.flatten(_input(layer)):
            earlier = operation_of(tensor).name
            after[earlier] = max(after[earlier], here)
    return {layer.name: after[layer.name] + 1 for layer in model.layers}


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)


def _input(layer: keras.layers.Layer) -> list:
    """Return what a layer is called on; an input layer, on nothing."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return layer.input


def _freeze_batch_norm(model: keras.Model) -> list[str]:
    """Freeze every batch normalisation but each stream's first.

    This is partial batch normalisation (Wang et al. 2016, section 3.2). A
    frozen layer keeps gamma and beta, and normalises by its moving mean and
    variance in training too, as `frozen: true` does in the authors' Caffe.
    Return the names of the frozen layers.
    """
    seen, frozen = set(), []
    streams = tuple(stream_layers(model))
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        stream = layer.name.split("_")[0]
        stream = stream if stream in streams else ""
        if stream in seen and layer.trainable:
            layer.trainable = False
            frozen.append(layer.name)
        seen.add(stream)
    return frozen
