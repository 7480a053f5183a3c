"""The graph of a Keras model: what made a tensor, and from which ones."""

from typing import Any

import keras

from keras_twostream.errors import SpecError


def operation_of(tensor: Any) -> Any:
    """Return the layer or operation that made a tensor; None of an input."""
    history = getattr(tensor, "_keras_history", None)
    return history.operation if history else None


def sources_of(tensor: Any) -> list[Any]:
    """Return the tensors that a tensor was made from; none of an input."""
    history = getattr(tensor, "_keras_history", None)
    if not history:
        return []
    node = history.operation._inbound_nodes[history.node_index]
    return list(node.input_tensors)


def inputs_of(layer: Any) -> list[Any]:
    """Return the tensors that a layer was called on."""
    nodes = layer._inbound_nodes
    return [tensor for node in nodes for tensor in node.input_tensors]


def is_functional(layer: Any) -> bool:
    """Return whether a layer is a network with outputs of its own."""
    return isinstance(layer, keras.Model) and hasattr(layer, "outputs")


def check_functional(model: keras.Model) -> None:
    """Refuse a model whose layers cannot be followed from its outputs.

    Raises:
        SpecError: If it is no model of layers from inputs to outputs.
    """
    if not getattr(model, "outputs", None):
        name = getattr(model, "name", type(model).__name__)
        raise SpecError(
            f"{name} is no model with inputs and outputs of its own, so that "
            "its layers are unknown. Give the functional model inside it, or a "
            "name that `load` takes."
        )
