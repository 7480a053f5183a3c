"""Networks as ONNX files, and the runtime that runs them."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_twostream.errors import MissingLibraryError

NEEDED = ("onnx", "onnxruntime", "tf2onnx")

Clips = dict[str, np.ndarray]
Runner = Callable[[Clips], Clips]
Shapes = dict[str, tuple[int | None, ...]]

VERSION = 18  # of the operations in our files, ONNX's opset


def missing() -> list[str]:
    """Return the names of ONNX's libraries that are not installed."""
    return [n for n in NEEDED if importlib.util.find_spec(n) is None]


def check_installed(what: str) -> None:
    """Refuse work that ONNX's libraries are missing for.

    Args:
        what: Subject of the error's first sentence.

    Raises:
        MissingLibraryError: If one of them is not installed.
    """
    if absent := missing():
        raise MissingLibraryError(
            f"{what} needs {', '.join(absent)}. Install "
            "keras-twostream[export]: pip install 'keras-twostream[export]'"
        )


def tensor_specs(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Return TensorFlow's description of float32 inputs, by name."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec(shape, "float32", name=name)
        for name, shape in shapes.items()
    }


def write(
    network: keras.Model, shapes: Shapes, path: Path, half: bool = False
) -> None:
    """Write a network as an ONNX file.

    Args:
        network: A model with a dict of inputs and a dict of outputs.
        shapes: Shape of each input, by name.
        path: The new file.
        half: Whether to store weights as float16.
    """
    import tf2onnx

    # tf2onnx was written for NumPy 1, which had this name.
    if "object" not in vars(np):
        np.object = object  # type: ignore[attr-defined]
    signature, serve = _program(network, shapes)
    proto, _ = tf2onnx.convert.from_function(
        serve, input_signature=[signature], opset=VERSION
    )
    _store(proto.graph, network)
    if half:
        _halve(proto.graph)
    path.write_bytes(proto.SerializeToString())


def _program(network: keras.Model, shapes: Shapes) -> tuple[Any, Any]:
    """Return a signature, and the function of clips and weights it is of.

    tf2onnx copies constants many times: a network of 1 GB took it over 20 GB.
    So it sees the weights as inputs, and ONNX Runtime folds them.
    """
    import tensorflow as tf

    variables = _by_input(network)
    specs = {
        name: tf.TensorSpec(variable.shape, variable.dtype, name=name)
        for name, variable in variables.items()
    }
    count = len(network.trainable_variables)

    @tf.function(autograph=False)
    def serve(inputs: Any) -> Any:
        values = [inputs[name] for name in variables]
        clips = {name: inputs[name] for name in shapes}
        scores, _ = network.stateless_call(
            values[:count], values[count:], clips, training=False
        )
        return scores

    return {**specs, **tensor_specs(shapes)}, serve


def _by_input(network: keras.Model) -> dict[str, Any]:
    """Return the variables by the names of the inputs that stand for them."""
    variables = [*network.trainable_variables, *network.non_trainable_variables]
    return {f"weight_{i}": variable for i, variable in enumerate(variables)}


def _store(graph: Any, network: keras.Model) -> None:
    """Make initializers of the inputs that stand for weights."""
    from onnx import numpy_helper

    variables = _by_input(network)
    used = {name for node in graph.node for name in node.input}
    clips = [value for value in graph.input if value.name not in variables]
    graph.initializer.extend(
        numpy_helper.from_array(keras.ops.convert_to_numpy(variable), name)
        for name, variable in variables.items()
        if name in used
    )
    del graph.input[:]
    graph.input.extend(clips)


def _halve(graph: Any) -> None:
    """Store the weights as float16, with a cast to float32 before their use."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or not weight.dims:
            continue
        name, narrow = weight.name, f"{weight.name}_float16"
        halves = numpy_helper.to_array(weight).astype("float16")
        weight.CopyFrom(numpy_helper.from_array(halves, narrow))
        casts.append(
            helper.make_node("Cast", [narrow], [name], to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def open_file(path: Path) -> Runner:
    """Return a function that runs an ONNX file on this machine's CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda clips: dict(
        zip(names, session.run(names, clips), strict=True)
    )
