"""Batch normalisation folded into the layers before it.

At test time the normalisation multiplies each channel by a constant and adds
another one. So does a convolution or a dense layer whose kernel and bias have
taken them up: y = s (W x + b - mean) + beta, s = gamma / sqrt(var + epsilon).
"""

import collections
import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_twostream._arrays import bytes_of
from keras_twostream.errors import SpecError
from keras_twostream.graph import (
    check_functional,
    is_functional,
    operation_of,
)
from keras_twostream.inspection import keep_card
from keras_twostream.layers import (
    BatchNormalization,
    FoldTime,
    GroupedConv2D,
    SharedSum,
    SlidingDense,
    SpatialConv,
    TemporalConv,
    UnfoldTime,
)

# Layers with a kernel whose last axis is their output's channels.
FOLDABLE = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    GroupedConv2D,
    SlidingDense,
    SpatialConv,
    TemporalConv,
)
_NORMS = (keras.layers.BatchNormalization, BatchNormalization)
_CARRIERS = (FoldTime, UnfoldTime)  # they move no number to another channel


def folded(model: keras.Model) -> keras.Model:
    """Return a copy of a model without the normalisation that can be folded.

    Batch normalisation right after a convolution or a dense layer, also one
    with the time axis folded or unfolded between, becomes part of its kernel
    and bias. It stays where the layer has an activation of its own, keeps its
    weights in half precision, or has another reader.

    Args:
        model: A functional model. It stays as it is.

    Returns:
        A model with the same inputs, outputs, card and names of layers, and
        weights of its own. It is for test time: its statistics no longer
        follow a batch in training.

    Example:

    ```python
    fast = keras_twostream.deploy.folded(model)
    fast.save("fast.keras")
    ```
    """
    check_functional(model)
    copy = Folding(model).network
    with contextlib.suppress(SpecError):  # a network without a card
        keep_card(model, copy)
    return copy


class Folding:
    """A model and its folded copy, which can follow the model's weights.

    Args:
        model: A functional model.

    Attributes:
        count: Number of normalisations that were folded.
        network: The folded copy.
    """

    def __init__(self, model: keras.Model) -> None:
        self._norms, self._shared = folds(model), _shared_sums(model)
        self.count = len(self._norms)
        self._copies: dict[int, Any] = {}
        self._layers: list[Any] = []
        self._inner: list[Folding] = []
        self._mark = 0
        self.network = self._copy(model)
        self.refresh()

    def refresh(self) -> keras.Model:
        """Take over the model's weights if they have changed.

        Returns:
            The folded copy.
        """
        mark = self._checksum()
        if mark != self._mark:
            self._mark = mark
            for layer in self._layers:
                self._fill(layer)
        for inner in self._inner:
            inner.refresh()
        return self.network

    def _copy(self, model: keras.Model) -> keras.Model:
        gone = {id(norm) for norm in self._norms.values()}

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return args[0] if id(layer) in gone else layer(*args, **kwargs)

        def clone(layer: Any) -> Any:
            return layer if id(layer) in gone else self._clone(layer)

        # Without the compilation, which the copy has no use for.
        outputs = _structure(model)
        bare = keras.Model(model.inputs, outputs, name=model.name)
        copy = keras.models.clone_model(
            bare, clone_function=clone, call_function=call
        )
        if not isinstance(outputs, dict):
            return copy
        # A clone on PyTorch has its outputs in the order of the alphabet.
        ordered = {name: copy.output[name] for name in outputs}
        return keras.Model(copy.inputs, ordered, name=copy.name)

    def _clone(self, layer: Any) -> Any:
        if id(layer) in self._copies:
            return self._copies[id(layer)]
        if is_functional(layer):
            inner = Folding(layer)
            self.count += inner.count
            self._inner.append(inner)
            copy = inner.network
        else:
            copy = self._new(layer)
            if getattr(layer, "weights", None):
                self._layers.append(layer)
        self._copies[id(layer)] = copy
        return copy

    def _new(self, layer: Any) -> Any:
        try:
            config = layer.get_config()
        except NotImplementedError:  # an operation without weights
            return layer
        if id(layer) in self._norms and "use_bias" in config:
            config = {**config, "use_bias": True}
        kind = SharedSum if id(layer) in self._shared else type(layer)
        return kind.from_config(config)

    def _fill(self, layer: Any) -> None:
        copy, norm = self._copies[id(layer)], self._norms.get(id(layer))
        if norm is None:
            copy.set_weights(layer.get_weights())
            return
        scale, shift = _scale_and_shift(norm)
        bias = 0.0 if layer.bias is None else _array(layer.bias)
        copy.kernel.assign((_array(layer.kernel) * scale).astype("float32"))
        copy.bias.assign((bias * scale + shift).astype("float32"))

    def _checksum(self) -> int:
        """Return a number that changes with any weight."""
        mark = 1
        for layer in [*self._layers, *self._norms.values()]:
            for weight in layer.get_weights():
                mark = zlib.crc32(bytes_of(weight), mark)
        return mark


# === The graph ===


def folds(model: keras.Model) -> dict[int, Any]:
    """Return the normalisation to fold into each layer, by the layer's id."""
    nodes = list(_nodes(model))
    uses = collections.Counter(id(operation) for operation, _ in nodes)
    readers = collections.Counter(id(x) for _, inputs in nodes for x in inputs)
    readers.update(id(x) for x in model.outputs)
    norms = {}
    for operation, inputs in nodes:
        if type(operation) not in _NORMS or uses[id(operation)] > 1:
            continue
        layer = _producer(inputs[0], uses, readers)
        if layer is not None and _fit(layer, operation):
            norms[id(layer)] = operation
    return norms


def _shared_sums(model: keras.Model) -> set[int]:
    """Return the ids of the sums that several layers read."""
    read = [x for _, inputs in _nodes(model) for x in inputs]
    readers = collections.Counter(map(id, read))
    makers = [operation_of(x) for x in read if readers[id(x)] > 1]
    return {id(x) for x in makers if type(x) is keras.layers.Add}


def _producer(tensor: Any, uses: Any, readers: Any) -> Any:
    """Return the layer whose output comes to this one reader alone."""
    while readers[id(tensor)] == 1:
        layer = operation_of(tensor)
        if layer is None or uses[id(layer)] != 1:
            return None
        if type(layer) not in _CARRIERS:
            return layer
        tensor = layer.input
    return None


def _fit(layer: Any, norm: Any) -> bool:
    """Return whether the normalisation can become a part of the layer."""
    if type(layer) not in FOLDABLE or getattr(norm, "renorm", False):
        return False
    linear = layer.activation if hasattr(layer, "activation") else None
    plain = not getattr(layer, "quantization_mode", None) and not getattr(
        layer, "lora_enabled", False
    )
    last = norm.axis in (-1, len(norm.input.shape) - 1)
    exact = {layer.variable_dtype, norm.variable_dtype} == {"float32"}
    alike = layer.compute_dtype == norm.compute_dtype
    channels_last = getattr(layer, "data_format", None) != "channels_first"
    return (
        linear in (None, keras.activations.linear)
        and plain
        and last
        and exact
        and alike
        and channels_last
    )


def _nodes(model: keras.Model) -> Iterator[tuple[Any, list[Any]]]:
    """Yield each call in the model, an operation and its input tensors."""
    ends = {id(tensor) for tensor in model.inputs}
    seen = set()
    stack = list(model.outputs)
    while stack:
        tensor = stack.pop()
        operation = operation_of(tensor)
        if operation is None or id(tensor) in ends:
            continue
        place = tensor._keras_history.node_index
        if (id(operation), place) in seen:
            continue
        seen.add((id(operation), place))
        inputs = operation._inbound_nodes[place].input_tensors
        stack.extend(inputs)
        yield operation, inputs


# === Parts ===


def _scale_and_shift(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what a normalisation multiplies by and adds, (C,) float64."""
    scale = 1.0 / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale = scale * _array(norm.gamma)
    shift = -_array(norm.moving_mean) * scale
    if norm.center:
        shift = shift + _array(norm.beta)
    return scale, shift


def _array(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")


def _structure(model: keras.Model) -> Any:
    """Return a model's outputs; those of a Sequential's calls are others."""
    if isinstance(model, keras.Sequential):
        return model.outputs[0]
    return model.output
