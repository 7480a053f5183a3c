"""Networks of `keras.applications`, by the names of their layers."""

import re
from collections.abc import Iterable

import numpy as np

from keras_twostream.pretrained.keymaps._names import HEAD, refuse
from keras_twostream.pretrained.keymaps._resnet import torchvision_resnet

_VGG = {"fc1": "fc6", "fc2": "fc7", "predictions": HEAD}
_RESNET = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}
_BLOCK = re.compile(r"conv(\d)_block(\d+)_([0-3])_(conv|bn)")


def applications_vgg16(keys: Iterable[str]) -> dict[str, str]:
    """block1_conv1.kernel -> conv1_1.kernel, fc1.kernel -> fc6.kernel."""
    names = {}
    for key in keys:
        layer, _, variable = key.rpartition(".")
        ours = _VGG.get(layer) or re.sub(
            r"block(\d)_conv(\d)", r"conv\1_\2", layer
        )
        names[key] = f"{ours}.{variable}"
    return names


def applications_resnet(keys: Iterable[str]) -> dict[str, str]:
    """conv2_block1_1_conv.kernel -> res2a_branch2a.kernel, and so on."""
    keys = list(keys)
    torch = {f"{_torch_module(key)}.weight": key for key in keys}
    ours = torchvision_resnet(torch)
    layers = {
        torch[name].rpartition(".")[0]: target.rpartition(".")[0]
        for name, target in ours.items()
    }
    return {
        key: f"{layers[layer]}.{variable}"
        for key in keys
        for layer, _, variable in [key.rpartition(".")]
    }


def fold_bias(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convolutions without bias that do the same: the mean takes it.

    keras.applications gives each convolution a bias before its batch
    normalisation, which subtracts it again with the mean.
    """
    folded = dict(tensors)
    for key in tensors:
        layer, _, variable = key.rpartition(".")
        mean = f"{_norm_of(layer)}.moving_mean"
        if variable == "bias" and mean in tensors:
            folded[mean] = folded[mean] - folded.pop(key)
    return folded


def _norm_of(layer: str) -> str:
    return "bn_conv1" if layer == "conv1" else layer.replace("res", "bn")


def _torch_module(key: str) -> str:
    layer = key.rpartition(".")[0]
    if layer in _RESNET:
        return _RESNET[layer]
    match = _BLOCK.fullmatch(layer)
    if match is None:
        raise refuse("a ResNet of keras.applications", key)
    stage, block, number, kind = match.groups()
    prefix = f"layer{int(stage) - 1}.{int(block) - 1}"
    if number == "0":
        return f"{prefix}.downsample.{0 if kind == 'conv' else 1}"
    return f"{prefix}.{kind}{number}"
