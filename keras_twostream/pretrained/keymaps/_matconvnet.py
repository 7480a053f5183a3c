"""A key map for the MatConvNet files of Feichtenhofer et al.

Layers have Caffe's names; where one file holds both streams, they end in
"_spatial" or "_temporal" (feichtenhofer/st-resnet, STResNet_stage1.m).
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_twostream.pretrained.keymaps._names import (
    HEAD,
    fold_bias,
    without_epsilon,
)

_STREAMS = {"_spatial": "rgb_", "_temporal": "flow_"}
_HEADS = ("prediction", "fc1000", "fc8")
# STMulNet.m names the temporal convolution after the ReLU before it.
_AFTER_RELU = re.compile(r"(res\db)_branch2b_relu")
_EPSILON = 1e-5  # our batch normalisation adds it again


def matconvnet(keys: Iterable[str]) -> dict[str, str]:
    """Map res2a_branch2a_spatial.kernel -> rgb_res2a_branch2a.kernel."""
    names = {}
    for key in keys:
        layer, _, role = key.rpartition(".")
        names[key] = f"{_ours(layer)}.{role}"
    return names


def _ours(layer: str) -> str:
    stream, time = "", layer.endswith("_Time")
    layer = layer.removesuffix("_Time")
    for suffix, prefix in _STREAMS.items():
        if layer.endswith(suffix):
            layer, stream = layer.removesuffix(suffix), prefix
    if time:
        layer = _AFTER_RELU.sub(r"\1_temporal", layer)
    return stream + (HEAD if layer in _HEADS else layer)


def finish(arrays: dict[str, Any]) -> dict[str, Any]:
    """Convert time kernels to kernels, and moments to means and variances.

    A convolution's bias before a normalisation goes into its mean, and the
    scale that Caffe keeps in a layer of its own into gamma and beta.
    """
    tensors = {}
    for key, array in arrays.items():
        layer, _, role = key.rpartition(".")
        if role == "time_kernel":
            tensors[f"{layer}.kernel"] = array
        elif role == "moments":
            mean, deviation = array.astype(np.float64).T
            tensors[f"{layer}.moving_mean"] = mean
            tensors[f"{layer}.moving_variance"] = without_epsilon(
                deviation**2, _EPSILON
            )
        else:
            tensors[key] = array
    return fold_bias(_scaled(tensors))


def _scaled(arrays: dict[str, Any]) -> dict[str, Any]:
    """Fold "scale2a_branch1" into "bn2a_branch1", "scale_conv1" likewise."""
    tensors = dict(arrays)
    for key in arrays:
        layer, _, role = key.rpartition(".")
        if role not in ("factor", "offset"):
            continue
        array, norm = tensors.pop(key), layer.replace("scale", "bn", 1)
        if role == "factor":
            tensors[f"{norm}.gamma"] = arrays[f"{norm}.gamma"] * array
            scaled = arrays[f"{norm}.beta"] * array
            offset = arrays.get(f"{layer}.offset", 0.0)
            tensors[f"{norm}.beta"] = scaled + offset
    return tensors
