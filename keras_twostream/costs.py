"""The cost of a model: parameters, memory and arithmetic, layer by layer.

The graph is walked once with one clip's shapes. Arithmetic counts multiply-
adds of everything that has a kernel (convolutions, also through time or of
each channel apart, and dense layers); additions, normalisation and
activations are left out, as is usual.
"""

import dataclasses
import math
from typing import Any

import keras

from keras_twostream import inspection
from keras_twostream.graph import check_functional

_FLOAT = 4  # bytes


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One layer's share for one clip.

    Attributes:
        name: The layer's name, the paper's.
        macs: Multiply-adds.
        outputs: Numbers in its outputs.
        shape: Shape of its first output for one clip; steps that are
            in the batch come first.
    """

    name: str
    macs: int
    outputs: int
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Costs:
    """The cost of a model for one clip.

    Attributes:
        parameters: Trainable parameters, shared layers counted once.
        buffers: Other weights, such as moving averages.
        layers: The share of each layer, in order.
    """

    parameters: int
    buffers: int
    layers: tuple[LayerCost, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of one clip's forward pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-add."""
        return 2 * self.macs

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in float32."""
        return _FLOAT * (self.parameters + self.buffers)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs in float32, as training keeps them."""
        return _FLOAT * sum(layer.outputs for layer in self.layers)


def costs(model: keras.Model) -> Costs:
    """Return parameters, memory and arithmetic of a model for one clip.

    Args:
        model: A model of this library.

    Returns:
        Its `Costs`, at the crop size of its ClipSpec.

    Raises:
        SpecError: If the model has no stream input of this library, or is no
            model of layers from inputs to outputs.

    Example:

    ```python
    print(costs(model).flops / 1e9, "GFLOPs per clip")
    ```
    """
    check_functional(model)
    return Costs(
        parameters=_size(model.trainable_weights),
        buffers=_size(model.non_trainable_weights),
        layers=tuple(_walk(model, _inputs(model))),
    )


def _walk(model: keras.Model, inputs: list[Any]) -> list[LayerCost]:
    rows: list[LayerCost] = []

    def counting(layer: Any) -> Any:
        def shapes(*args: Any, **kwargs: Any) -> Any:
            outputs = layer.compute_output_spec(*args, **kwargs)
            if isinstance(layer, keras.Model):
                rows.extend(_walk(layer, keras.tree.flatten(args)))
            else:
                rows.append(_cost(layer, args, outputs))
            return outputs

        return shapes

    # Shapes alone go through the model's own graph: no layer is called.
    graph = getattr(model, "_functional", model)  # a Sequential holds its own
    graph._run_through_graph(inputs, operation_fn=counting)
    return rows


def _inputs(model: keras.Model) -> list[Any]:
    """Return inputs for one clip at the spec's size."""
    spec = inspection.clip_spec(model)
    return [
        keras.Input(
            batch_shape=_fixed(tensor.shape, spec.crop),
            name=f"{tensor.name}_costed",
        )
        for tensor in model.inputs
    ]


def _fixed(shape: tuple, crop: tuple[int, int]) -> tuple[int, ...]:
    batch, *rest, height, width, channels = shape
    del batch
    return (1, *rest, height or crop[0], width or crop[1], channels)


def _cost(layer: Any, inputs: Any, outputs: Any) -> LayerCost:
    shape, *others = (x.shape for x in keras.tree.flatten(outputs))
    size = sum(map(math.prod, (shape, *others)))
    if hasattr(layer, "macs"):
        macs = layer.macs([x.shape for x in keras.tree.flatten(inputs)])
    else:
        # Each kernel entry works once per place: of the output, or of the
        # input where the kernel spreads it.
        placed = shape
        if type(layer).__name__.endswith("Transpose"):
            placed = keras.tree.flatten(inputs)[0].shape
        macs = _kernels(layer) * math.prod(placed[:-1])
    return LayerCost(layer.name, macs, size, tuple(shape))


def _kernels(layer: Any) -> int:
    """Return the entries of a layer's kernels."""
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    kernels = (getattr(layer, name, None) for name in names)
    return sum(math.prod(x.shape) for x in kernels if x is not None)


def _size(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
