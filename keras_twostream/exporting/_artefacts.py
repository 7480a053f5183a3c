"""Writers of each format, and the runtimes that run their files."""

import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_twostream import _files, onnx_files
from keras_twostream.errors import SpecError
from keras_twostream.onnx_files import Clips, Runner, Shapes

FORMATS = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
PRECISIONS = ("float32", "float16", "int8")

_SIGNATURE = "serving_default"


def check_libraries(format: str) -> None:
    """Refuse a format whose libraries are not installed.

    Raises:
        MissingLibraryError: If ONNX is asked for without its libraries.
    """
    if format == "onnx":
        onnx_files.check_installed("An ONNX file")


def write(
    network: keras.Model,
    shapes: Shapes,
    path: Path,
    format: str,
    precision: str,
    examples: Sequence[Clips] = (),
) -> None:
    """Write one artefact.

    Args:
        network: Model from `with_named_ends`.
        shapes: Shape of each input, by name.
        path: The new file, or the new folder of a SavedModel.
        format: One of `FORMATS`.
        precision: One of `PRECISIONS`. "float16" stores the weights alone in
            half precision: every runtime computes in float32.
        examples: Inputs that the ranges of int8 are taken from.

    Raises:
        SpecError: If the format cannot hold the network, or the disk is full.
    """
    try:
        if format == "saved_model":
            _write_saved_model(network, shapes, path, precision == "float16")
        elif format == "litert":
            _write_litert(network, shapes, path, precision, examples)
        else:
            onnx_files.write(network, shapes, path, precision == "float16")
    except Exception as error:  # converters raise any type of error
        if refusal := _files.not_written(error):
            raise SpecError(refusal) from error
        raise SpecError(
            f"{network.name} cannot be written as {format}: "
            f"{first_line(error)}. Try another format; a SavedModel has "
            "the fewest limits."
        ) from error


def runner(path: Path, format: str) -> Runner:
    """Return a function that runs an artefact in its own runtime."""
    openers = {
        "saved_model": _open_saved_model,
        "litert": _open_litert,
        "onnx": onnx_files.open_file,
    }
    return openers[format](path)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


# === SavedModel ===


def _write_saved_model(
    network: keras.Model, shapes: Shapes, folder: Path, half: bool
) -> None:
    import tensorflow as tf

    module, serve = _program(network, half)
    signature = serve.get_concrete_function(onnx_files.tensor_specs(shapes))
    tf.saved_model.save(module, str(folder), {_SIGNATURE: signature})


def _program(network: keras.Model, half: bool) -> tuple[Any, Any]:
    """Return a `tf.Module` of the weights, and the function it serves.

    Args:
        network: A model with a dict of inputs and a dict of outputs.
        half: Whether to store weights as float16; arithmetic is in float32.
    """
    import tensorflow as tf

    def stored(variable: Any) -> Any:
        narrow = half and variable.dtype == "float32"
        value = tf.convert_to_tensor(variable.value)
        return tf.Variable(tf.cast(value, tf.float16) if narrow else value)

    def full(stores: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
        pairs = zip(stores, variables, strict=True)
        return [tf.cast(store, like.dtype) for store, like in pairs]

    module = tf.Module()
    module.trained = [stored(v) for v in network.trainable_variables]
    module.others = [stored(v) for v in network.non_trainable_variables]

    @tf.function(autograph=False)
    def serve(clips: Any) -> Any:
        trained = full(module.trained, network.trainable_variables)
        others = full(module.others, network.non_trainable_variables)
        scores, _ = network.stateless_call(
            trained, others, clips, training=False
        )
        return scores

    module.serve = serve
    return module, serve


def _open_saved_model(folder: Path) -> Runner:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    # The signature alone does not keep the weights alive: `loaded` does.
    return lambda clips: {
        name: scores.numpy()
        for name, scores in loaded.signatures[_SIGNATURE](
            **{name: tf.constant(clip) for name, clip in clips.items()}
        ).items()
    }


# === LiteRT ===


def _write_litert(
    network: keras.Model,
    shapes: Shapes,
    path: Path,
    precision: str,
    examples: Sequence[Clips],
) -> None:
    import tensorflow as tf

    folder = path.with_suffix(".saved_model")
    _write_saved_model(network, shapes, folder, half=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        ops = tf.lite.OpsSet
        # Operations without an integer form stay in float.
        converter.target_spec.supported_ops = [
            ops.TFLITE_BUILTINS_INT8,
            ops.TFLITE_BUILTINS,
        ]
        converter.representative_dataset = lambda: iter(examples)
    with warnings.catch_warnings():  # its calibrator says it is deprecated
        warnings.simplefilter("ignore")
        path.write_bytes(converter.convert())


_TRIAL = """
import sys

from ai_edge_litert.interpreter import Interpreter

Interpreter(model_path=sys.argv[1]).allocate_tensors()
"""


def _open_litert(path: Path) -> Runner:
    if _has_litert():
        _open_apart(path)
    interpreter = _interpreter()(model_path=str(path))
    run = interpreter.get_signature_runner(_SIGNATURE)
    return lambda clips: {k: v.copy() for k, v in run(**clips).items()}


def _open_apart(path: Path) -> None:
    """Open a file in a process of its own, which LiteRT may abort.

    Raises:
        SpecError: If it cannot be opened.
    """
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(path)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise SpecError(
            f"LiteRT ended with status {done.returncode}: {said[-1]}"
        )


def _has_litert() -> bool:
    return importlib.util.find_spec("ai_edge_litert") is not None


def _interpreter() -> Any:
    """Return LiteRT's interpreter, or the one that TensorFlow includes."""
    if _has_litert():
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter

    import tensorflow as tf

    def quiet(**options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tf.lite.Interpreter(**options)

    return quiet
