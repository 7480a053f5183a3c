"""Key maps for torchvision's Inception v3 and batch-normalised GoogLeNet."""

import re
from collections.abc import Iterable

from keras_twostream.models.backbones.googlenet import MODULES
from keras_twostream.pretrained.keymaps._names import HEAD, refuse, torch_names

_STEM = {
    "conv1": "conv1_7x7_s2",
    "conv2": "conv2_3x3_reduce",
    "conv3": "conv2_3x3",
}
_BRANCHES = {
    "branch1": "1x1",
    "branch2.0": "3x3_reduce",
    "branch2.1": "3x3",
    "branch3.0": "5x5_reduce",
    "branch3.1": "5x5",
    "branch4.1": "pool_proj",
}
# The same network inside I3D (Carreira & Zisserman 2017), except that it
# pads as TensorFlow does.
_I3D_STEM = {
    "conv1": "Conv3d_1a_7x7",
    "conv2": "Conv3d_2b_1x1",
    "conv3": "Conv3d_2c_3x3",
}
_I3D_BRANCHES = {
    "branch1": "Branch_0_Conv3d_0a_1x1",
    "branch2.0": "Branch_1_Conv3d_0a_1x1",
    "branch2.1": "Branch_1_Conv3d_0b_3x3",
    "branch3.0": "Branch_2_Conv3d_0a_1x1",
    "branch3.1": "Branch_2_Conv3d_0b_3x3",
    "branch4.1": "Branch_3_Conv3d_0b_1x1",
}
_UNIT = re.compile(r"(.+)\.(conv|bn)")
_MODULE = re.compile(r"inception(\d[a-e])\.(.+)")


def inception_v3(keys: Iterable[str]) -> dict[str, str]:
    """Map Mixed_5b.branch1x1.conv.weight -> Mixed_5b_branch1x1.kernel."""

    def layer(module: str) -> str | None:
        if module == "fc":
            return HEAD
        if module.startswith("AuxLogits"):
            return None
        name, suffix = _unit(module, "Inception v3")
        return name.replace(".", "_") + suffix

    return torch_names(keys, layer)


def googlenet(keys: Iterable[str]) -> dict[str, str]:
    """Map inception3a.branch2.1.conv.weight -> inception_3a_3x3.kernel."""
    modules = {module: f"inception_{module}" for module in MODULES}
    return torch_names(keys, _googlenet_layers(_STEM, modules, _BRANCHES))


def googlenet_as_i3d(keys: Iterable[str]) -> dict[str, str]:
    """Map GoogLeNet to I3D's names: inception3a -> Mixed_3b, and so on."""
    modules = {m: f"Mixed_{m[0]}{chr(ord(m[1]) + 1)}" for m in MODULES}
    layers = _googlenet_layers(_I3D_STEM, modules, _I3D_BRANCHES)
    renamed = torch_names(keys, layers)
    # DeepMind's checkpoints call this one unit differently.
    quirk = "Mixed_5b_Branch_2_Conv3d_0"
    return {
        key: name.replace(f"{quirk}b_3x3", f"{quirk}a_3x3")
        for key, name in renamed.items()
    }


def _googlenet_layers(stem, modules, branches):
    def layer(module: str) -> str | None:
        if module == "fc":
            return HEAD
        if module.startswith("aux"):
            return None
        name, suffix = _unit(module, "GoogLeNet")
        match = _MODULE.fullmatch(name)
        if name in stem:
            return stem[name] + suffix
        if match and match[1] in modules and match[2] in branches:
            return f"{modules[match[1]]}_{branches[match[2]]}{suffix}"
        raise refuse("GoogLeNet", module)

    return layer


def _unit(module: str, network: str) -> tuple[str, str]:
    match = _UNIT.fullmatch(module)
    if match is None:
        raise refuse(network, module)
    return match[1], "_bn" if match[2] == "bn" else ""
