"""Which layers of a model are its classifier."""

from collections.abc import Mapping
from typing import Any

import keras


def head_layers(model: keras.Model) -> set[str]:
    """Names of the last layers with weights on the way to each output.

    Found by walking back from the outputs, so that no naming rule binds
    plugins. A layer counts as head if one of its variables ends in the
    number of classes; others with weights (attention over segments) are
    passed, and so is a learned fusion of scores, a head before heads.

    Args:
        model: A functional model.

    Returns:
        Layer names.
    """
    classes = _class_counts(model)
    heads: set[str] = set()
    seen: set[int] = set()
    stack = [_operation(output) for output in keras.tree.flatten(model.outputs)]
    while stack:
        layer = stack.pop()
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        is_head = _ends_in(layer, classes)
        if is_head:
            heads.add(layer.name)
        if not is_head or _fuses_scores(layer, classes):
            stack.extend(_before(layer))
    return heads


def heads_elsewhere(
    heads: set[str],
    here: Mapping[str, int] | None,
    there: Mapping[str, int] | None,
) -> set[str]:
    """What head layers are called in a model for other data sets.

    Args:
        heads: Their names in this model.
        here: Classes by data set of this model's heads; None for one head.
        there: Those of the other model.
    """
    stems = set()
    for name in heads:
        for data_set in here or ():
            name = name.removesuffix(f"_{data_set}")
        stems.add(name)
    if not there:
        return stems
    return {f"{stem}_{data_set}" for stem in stems for data_set in there}


def _class_counts(model: keras.Model) -> set[int]:
    return {output.shape[-1] for output in keras.tree.flatten(model.outputs)}


def _operation(tensor: Any) -> Any:
    history = getattr(tensor, "_keras_history", None)
    return history.operation if history else None


def _before(layer: Any) -> list[Any]:
    return [
        _operation(tensor)
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    ]


def _fuses_scores(layer: Any, classes: set[int]) -> bool:
    """Whether several score vectors come in."""
    inputs = [x for node in layer._inbound_nodes for x in node.input_tensors]
    return len(inputs) > 1 and all(x.shape[-1] in classes for x in inputs)


def _ends_in(layer: Any, classes: set[int]) -> bool:
    shapes = [tuple(weight.shape) for weight in getattr(layer, "weights", ())]
    return any(
        # A stack of matrices has one for each class, others a last axis.
        shape and shape[0 if len(shape) == 3 else -1] in classes
        for shape in shapes
    )
