"""A model's weights by explicit, stable, unique keys: "layer.variable"."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_twostream.errors import WeightsError

_SHOWN = 8


def variables(model: keras.Model) -> dict[str, Any]:
    """Return the model's variables by key, without dropout seeds.

    Returns:
        A dict from keys such as "rgb_conv1.kernel" to variables.

    Raises:
        WeightsError: If two variables have the same key.
    """
    variables: dict[str, Any] = {}
    for variable in model.weights:
        key = variable.path.replace("/", ".")
        if key in variables:
            raise WeightsError(
                f"Two variables of {model.name} have the key {key}, so its "
                "weights cannot be told apart in a file. Give the layers "
                "different names."
            )
        variables[key] = variable
    return variables


def assign(targets: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Put arrays into variables of exactly the same keys and shapes.

    Raises:
        WeightsError: If the keys or a shape differ, or a value is no number
            of the variable's type; nothing was assigned.
    """
    check_keys(targets, tensors)
    for key, variable in targets.items():
        check_shape(key, tensors[key].shape, variable.shape)
    values = {
        key: _cast(key, tensors[key], variable.dtype)
        for key, variable in targets.items()
    }
    for key, variable in targets.items():
        variable.assign(values[key])


def _cast(key: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """Return an array as a type, if all its values are finite in it."""
    # Whole numbers are the levels of quantised weights, without their scale.
    if not keras.backend.is_float_dtype(array.dtype.name):
        raise WeightsError(
            f"The weight {key} must hold floating numbers. Received: "
            f"dtype={array.dtype}. Take a file that is not quantised."
        )
    with np.errstate(over="ignore"):  # it is said below
        values = array.astype(dtype, copy=False)
    if np.isfinite(values).all():
        _refuse_negative(key, values)
        return values
    if np.isfinite(array).all():
        raise WeightsError(
            f"The weight {key} holds numbers up to "
            f"{np.abs(array).max():g}, which {dtype} cannot store. Build the "
            "model in float32; `mixed_float16` keeps its weights so."
        )
    # TensorFlow's ReLU on a CPU makes zeros of NaN: no score would show it.
    raise WeightsError(
        f"The weight {key} holds numbers that are not finite (NaN or "
        "infinite): its training diverged, or the file is damaged. Take "
        "other weights."
    )


def _refuse_negative(key: str, values: np.ndarray) -> None:
    """Refuse variances below 0, whose roots would be no numbers."""
    if key.endswith("variance") and (values < 0).any():
        raise WeightsError(
            f"The weight {key} holds variances below 0, down to "
            f"{values.min():g}: the file is damaged, or these are other "
            "statistics. Take other weights."
        )


def check_keys(expected: Iterable[str], received: Iterable[str]) -> None:
    """Refuse key sets that differ, and show both differences.

    Raises:
        WeightsError: If a key is missing or unexpected.
    """
    missing = sorted(set(expected) - set(received))
    unexpected = sorted(set(received) - set(expected))
    if missing or unexpected:
        raise WeightsError(
            "The weights do not fit the model: their keys must be the same."
            f"{_listed('In the model, missing in the weights', missing)}"
            f"{_listed('In the weights, unknown to the model', unexpected)}"
            "\nThe options differ from those the weights were saved with, or "
            "the file belongs to another architecture."
        )


def check_shape(
    key: str, received: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Refuse a tensor of another shape.

    Raises:
        WeightsError: If the shapes differ.
    """
    if tuple(received) != tuple(expected):
        raise WeightsError(
            f"The weight {key} has the shape {tuple(received)}, but the "
            f"model's variable has {tuple(expected)}. Build the model with "
            "the options the weights were saved with."
        )


def _listed(title: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = len(keys) - _SHOWN
    lines = "".join(f"\n    {key}" for key in keys[:_SHOWN])
    rest = f"\n    ... and {more} more" if more > 0 else ""
    return f"\n  {title} ({len(keys)}):{lines}{rest}"
