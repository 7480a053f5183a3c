"""A reader of MatConvNet's networks: .mat files of a DagNN or a chain.

`dagnn.DagNN.saveobj` (vlfeat/matconvnet, matlab/+dagnn/@DagNN/saveobj.m)
writes a struct `net` whose `layers` have a name, a class and the names of
their parameters, and whose `params` have names and values. What an array is
follows from its layer's class, never from its shape:

    Conv        kernel (H, W, I, O), bias
    ConvTime    kernel (1, T, I, O): time on the second axis (feichtenhofer/
                matconvnet, matlab/+dagnn/ConvTime.m, permutes frames there)
    BatchNorm   scale, offset, moments (C, 2): the mean and the standard
                deviation sqrt(variance + epsilon) (matlab/vl_nnbnorm.m)
    Scale       factor, offset (matlab/+dagnn/Scale.m)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_twostream._arrays import read_matlab
from keras_twostream.errors import WeightsError

ROLES = {
    "dagnn.Conv": ("kernel", "bias"),
    "dagnn.ConvTime": ("time_kernel", "bias"),
    "dagnn.BatchNorm": ("gamma", "beta", "moments"),
    "dagnn.Scale": ("factor", "offset"),
}
# A chain (vl_simplenn) calls them otherwise.
_CHAIN = {
    "conv": "dagnn.Conv",
    "bnorm": "dagnn.BatchNorm",
    "scale": "dagnn.Scale",
}
_KERNELS = ("kernel", "time_kernel")


def read(path: Path) -> dict[str, np.ndarray]:
    """Read arrays by "layer.role", kernels in Keras's axis order.

    Args:
        path: A .mat file up to MATLAB's version 7.

    Returns:
        A dict with keys such as "conv1.kernel", (H, W, I, O); a
        `time_kernel` is (T, 1, 1, I, O), `moments` are (C, 2).

    Raises:
        WeightsError: If it is no such file, or a layer of an unknown class
            has parameters.
    """
    try:
        file = read_matlab(path, WeightsError)
        net = _only(file["net"]) if "net" in file else file
        layers = [*_layers(net)]
    except WeightsError:
        raise
    except NotImplementedError as error:
        raise WeightsError(
            f"{path} is in MATLAB's version 7.3, which is HDF5. Save it "
            "again in MATLAB: save('-v7', ...)."
        ) from error
    except Exception as error:  # a damaged file raises anything
        raise WeightsError(
            f"{path} is no network of MatConvNet, or is damaged: {error!r}. "
            "Download or copy it again."
        ) from error
    tensors: dict[str, np.ndarray] = {}
    for name, kind, arrays in layers:
        tensors |= _named(name, kind, arrays, path)
    if not tensors:
        raise WeightsError(f"{path} holds no layers with weights.")
    return tensors


def _named(
    name: str, kind: str, arrays: list[np.ndarray], path: Path
) -> dict[str, np.ndarray]:
    roles = ROLES.get(kind, ())
    if len(arrays) > len(roles):
        raise WeightsError(
            f"The layer {name!r} in {path} is of the class {kind} and has "
            f"{len(arrays)} parameters, whose meaning is not known here. "
            f"Known classes: {', '.join(ROLES)}."
        )
    return {
        f"{name}.{role}": _in_order(role, array)
        for role, array in zip(roles, arrays, strict=False)
        if array.size
    }


def _in_order(role: str, array: np.ndarray) -> np.ndarray:
    """Restore the axes that MATLAB adds to vectors or drops at the end."""
    if role == "moments":
        return array.reshape(-1, 2)
    if role not in _KERNELS:
        return array.reshape(-1)
    array = array.reshape(*array.shape, *[1] * (4 - array.ndim))
    if role == "time_kernel":
        return array.transpose(1, 0, 2, 3)[:, :, None]
    return array


# === The two forms ===


def _layers(net: Any) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Yield (name, class, parameters) of each layer."""
    layers = net["layers"]
    if layers.dtype == object:  # a cell array
        for layer in layers.ravel():
            yield from _of_chain(_only(layer))
        return
    values = {
        _text(param["name"]): param["value"] for param in net["params"].ravel()
    }
    for layer in layers.ravel():
        names = [_text(name) for name in layer["params"].ravel()]
        kind, name = _text(layer["type"]), _text(layer["name"])
        yield name, kind, [values[name] for name in names]


def _of_chain(layer: Any) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    fields = layer.dtype.names
    if "weights" in fields:
        arrays = [*layer["weights"].ravel()]
    else:  # before version 1.0 beta 10
        known = ("filters", "biases")
        arrays = [layer[field] for field in known if field in fields]
    if arrays:
        kind = _text(layer["type"])
        yield _text(layer["name"]), _CHAIN.get(kind, kind), arrays


def _only(value: Any) -> Any:
    """Return the only struct in a MATLAB array."""
    return value.ravel()[0]


def _text(value: Any) -> str:
    return str(value.ravel()[0]) if value.size else ""
