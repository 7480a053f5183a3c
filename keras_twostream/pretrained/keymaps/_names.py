"""Names of variables that PyTorch checkpoints share.

A key map takes the keys of a foreign file and gives, for each that is of use,
our key without its stream: "layer1.0.conv1.weight" -> "res2a_branch2a.kernel".
The classifier is called "head". Maps go by name, never by order.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from keras_twostream.errors import WeightsError, did_you_mean

HEAD = "head"
_ROUNDING = 1e-5  # of an epsilon, more than single precision loses


@dataclasses.dataclass(frozen=True)
class KeyMap:
    """A rule to convert a foreign file to our names and layout.

    Attributes:
        rename: Function from the file's keys to ours, without unused keys.
        torch: Whether kernels are stored as PyTorch does: outputs first.
        flattened: Dense kernels that follow a flattened (C, H, W) or (C, T,
            H, W) volume, by our key; ours flatten with C last.
        finish: Function of the arrays under our keys, applied last.
    """

    rename: Callable[[Iterable[str]], dict[str, str]]
    torch: bool = True
    flattened: Mapping[str, tuple[int, ...]] = dataclasses.field(
        default_factory=dict
    )
    finish: Callable[[dict[str, Any]], dict[str, Any]] = dict


def identity(keys: Iterable[str]) -> dict[str, str]:
    """Return our own names without stream, the classifier `predictions`."""
    return {key: re.sub(r"^predictions\b", HEAD, key) for key in keys}


def torch_names(
    keys: Iterable[str], modules: Callable[[str], str | None]
) -> dict[str, str]:
    """Map PyTorch's keys to ours, given the names of the layers.

    Args:
        keys: All keys of the file.
        modules: Function from a module's name, as "layer1.0.conv1", to our
            layer, or None for an unused module.

    Returns:
        A dict from each useful key to ours.
    """
    keys = set(keys)
    names = {}
    for key in sorted(keys):
        module, _, variable = key.rpartition(".")
        if variable == "num_batches_tracked":
            continue
        layer = modules(module)
        if layer is not None:
            normalizes = f"{module}.running_mean" in keys
            names[key] = f"{layer}.{_variable(variable, normalizes, key)}"
    return names


def fold_bias(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Fold the biases of convolutions into the means after them.

    MatConvNet and keras.applications give a convolution a bias before its
    batch normalisation, which subtracts it again with the mean.
    """
    folded = dict(tensors)
    for key in tensors:
        layer, _, variable = key.rpartition(".")
        mean = f"{_norm_of(layer)}.moving_mean"
        if variable == "bias" and mean in tensors:
            folded[mean] = folded[mean] - folded.pop(key)
    return folded


def without_epsilon(squares: np.ndarray, epsilon: float) -> np.ndarray:
    """Return variances of variances plus epsilon.

    A channel that never varies would come out below 0 by a rounding error.
    """
    variances = squares - epsilon
    still = (variances < 0) & (variances > -_ROUNDING * epsilon)
    return np.where(still, 0.0, variances)


def _norm_of(layer: str) -> str:
    """Return rgb_bn_conv1 for rgb_conv1, rgb_bn2a_branch1 for rgb_res2a_..."""
    if layer.endswith("conv1"):
        return f"{layer.removesuffix('conv1')}bn_conv1"
    return re.sub(r"res(?=\d)", "bn", layer)


def refuse(what: str, key: str, known: Iterable[str] = ()) -> WeightsError:
    """Return an error for a key that is not of the stated network."""
    return WeightsError(
        f"{key!r} is no key of {what}, so the file is of another network or "
        f"of another code base.{did_you_mean(key, known)}"
    )


def _variable(variable: str, normalizes: bool, key: str) -> str:
    names = {
        "weight": "gamma" if normalizes else "kernel",
        "bias": "beta" if normalizes else "bias",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    if variable not in names:
        raise refuse("a PyTorch network", key)
    return names[variable]
