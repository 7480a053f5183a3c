"""Key maps for torchvision's VGG-16 and VGG-11, and for timm's head."""

from collections.abc import Iterable

from keras_twostream.models.backbones.vgg import BLOCKS
from keras_twostream.pretrained.keymaps._names import HEAD, refuse, torch_names

# torchvision's classifier is dense layers; timm's is 7x7 and 1x1
# convolutions that it calls pre_logits.
_DENSE = {
    "classifier.0": "fc6",
    "classifier.3": "fc7",
    "classifier.6": HEAD,
    "pre_logits.fc1": "fc6",
    "pre_logits.fc2": "fc7",
    "head.fc": HEAD,
}
FLATTENED = {"fc6.kernel": (512, 7, 7)}
_C3D = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
_VGG11 = (0, 3, 6, 8, 11, 13, 16, 18)


def vgg16(keys: Iterable[str]) -> dict[str, str]:
    """Map features.0.weight -> conv1_1.kernel, pre_logits.fc1 -> fc6."""
    return torch_names(keys, _lookup("VGG-16", {**_convolutions(), **_DENSE}))


def vgg11_as_c3d(keys: Iterable[str]) -> dict[str, str]:
    """Map VGG-11's convolutions to C3D's names, conv1a to conv5b.

    The widths are the same (Tran et al. 2015); the dense layers are not.
    """
    layers = {
        f"features.{number}": f"conv{name}"
        for number, name in zip(_VGG11, _C3D, strict=True)
    }
    return torch_names(
        keys, _lookup("VGG-11", {**layers, **dict.fromkeys(_DENSE)})
    )


def _convolutions() -> dict[str, str]:
    """Return convolutions by torchvision's numbers, which count all layers."""
    layers, number = {}, 0
    for block, widths in enumerate(BLOCKS, 1):
        for index in range(1, len(widths) + 1):
            layers[f"features.{number}"] = f"conv{block}_{index}"
            number += 2
        number += 1
    return layers


def _lookup(network, layers):
    def layer(module: str) -> str | None:
        if module not in layers:
            raise refuse(network, module, layers)
        return layers[module]

    return layer
