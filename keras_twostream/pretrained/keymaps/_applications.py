"""Key maps for networks of `keras.applications`, by layer names."""

import re
from collections.abc import Iterable

import numpy as np

from keras_twostream.pretrained.keymaps._names import HEAD, refuse
from keras_twostream.pretrained.keymaps._resnet import torchvision_resnet

_VGG = {"fc1": "fc6", "fc2": "fc7", "predictions": HEAD}
_RESNET = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}
_UNNAMED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?\.(\w+)")
_BLOCK = re.compile(r"conv(\d)_block(\d+)_([0-3])_(conv|bn)")

# In the order in which Keras builds, and so numbers, them.
_DOUBLE = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
_SEVENS = (
    *(f"branch7x7_{part}" for part in (1, 2, 3)),
    *(f"branch7x7dbl_{part}" for part in (1, 2, 3, 4, 5)),
)
_FORKS = (
    *(f"branch3x3_{part}" for part in ("1", "2a", "2b")),
    *(f"branch3x3dbl_{part}" for part in ("1", "2", "3a", "3b")),
)
_MODULES = {
    "Conv2d": ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3"),
    **dict.fromkeys(
        ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
        ("branch1x1", "branch5x5_1", "branch5x5_2", *_DOUBLE, "branch_pool"),
    ),
    "Mixed_6a": ("branch3x3", *_DOUBLE),
    **dict.fromkeys(
        ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
        ("branch1x1", *_SEVENS, "branch_pool"),
    ),
    "Mixed_7a": (
        *("branch3x3_1", "branch3x3_2"),
        *(f"branch7x7x3_{part}" for part in (1, 2, 3, 4)),
    ),
    **dict.fromkeys(
        ("Mixed_7b", "Mixed_7c"), ("branch1x1", *_FORKS, "branch_pool")
    ),
}
_INCEPTION_V3 = tuple(
    f"{module}_{part}" for module, parts in _MODULES.items() for part in parts
)


def applications_vgg16(keys: Iterable[str]) -> dict[str, str]:
    """Map block1_conv1.kernel -> conv1_1.kernel, fc1.kernel -> fc6.kernel."""
    names = {}
    for key in keys:
        layer, _, variable = key.rpartition(".")
        ours = _VGG.get(layer) or re.sub(
            r"block(\d)_conv(\d)", r"conv\1_\2", layer
        )
        names[key] = f"{ours}.{variable}"
    return names


def applications_resnet(keys: Iterable[str]) -> dict[str, str]:
    """Map conv2_block1_1_conv.kernel -> res2a_branch2a.kernel, ..."""
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


def applications_inception_v3(keys: Iterable[str]) -> dict[str, str]:
    """Map conv2d_5.kernel -> Mixed_5b_branch1x1.kernel, and so on.

    keras.applications gives the layers of this one network no names: Keras
    numbers them, onwards from those it numbered before in the same program.
    So their numbers count from the smallest.
    """
    names, numbered = {}, []
    for key in keys:
        match = _UNNAMED.fullmatch(key)
        if match:
            numbered.append((match[1], int(match[2] or 0), match[3], key))
        elif key.startswith("predictions."):
            names[key] = key.replace("predictions", HEAD)
        else:
            raise refuse("an Inception v3 of keras.applications", key)
    for kind, suffix in ("conv2d", ""), ("batch_normalization", "_bn"):
        numbers = sorted({n for k, n, *_ in numbered if k == kind})
        if len(numbers) != len(_INCEPTION_V3):
            raise refuse("Inception v3", f"{len(numbers)} {kind} layers")
        layer = dict(zip(numbers, _INCEPTION_V3, strict=True))
        names |= {
            key: f"{layer[number]}{suffix}.{variable}"
            for k, number, variable, key in numbered
            if k == kind
        }
    return names


def unit_gamma(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add scales of one to batch normalisations without a scale."""
    return tensors | {
        f"{key.removesuffix('.beta')}.gamma": np.ones_like(beta)
        for key, beta in tensors.items()
        if key.endswith("_bn.beta")
    }


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
