"""Key maps for ResNet 18 to 152 of torchvision, timm and mmaction2."""

import re
from collections.abc import Iterable

from keras_twostream.models.backbones import resnet
from keras_twostream.pretrained.keymaps._names import HEAD, refuse, torch_names

_BLOCK = re.compile(
    r"layer([1-4])\.(\d+)\.(?:(conv|bn)([123])|downsample\.([01]))"
)
_OUTSIDE = {"conv1": "conv1", "bn1": "bn_conv1", "fc": HEAD}


def torchvision_resnet(keys: Iterable[str]) -> dict[str, str]:
    """Map layer1.0.conv1.weight -> res2a_branch2a.kernel, and so on.

    Raises:
        WeightsError: If a key, or the number of blocks, is not a ResNet's.
    """
    keys = set(keys)
    names = _block_names(keys)

    def layer(module: str) -> str:
        if module in _OUTSIDE:
            return _OUTSIDE[module]
        match = _BLOCK.fullmatch(module)
        if match is None:
            raise refuse("a torchvision ResNet", module)
        stage, index, kind, number, shortcut = match.groups()
        block = names[int(stage), int(index)]
        if shortcut is not None:
            kind, branch = ("conv", "bn")[int(shortcut)], "1"
        else:
            branch = f"2{'abc'[int(number) - 1]}"
        name = block if kind == "conv" else block.replace("res", "bn")
        return f"{name}_branch{branch}"

    return torch_names(keys, layer)


def mmaction_resnet(keys: Iterable[str]) -> dict[str, str]:
    """Map mmaction2's keys: backbone.layer1.0.conv1.conv.weight, ..."""
    plain = {}
    for key in keys:
        name = key.removeprefix("backbone.").replace("cls_head.fc_cls", "fc")
        name = re.sub(r"downsample\.conv\b", "downsample.0", name)
        name = re.sub(r"downsample\.bn\b", "downsample.1", name)
        name = re.sub(r"conv(\d)\.bn\b", r"bn\1", name)
        plain[re.sub(r"conv(\d)\.conv\b", r"conv\1", name)] = key
    ours = torchvision_resnet(plain)
    return {plain[name]: target for name, target in ours.items()}


def _block_names(keys: set[str]) -> dict[tuple[int, int], str]:
    """Return our block names by stage and index; the depth decides."""
    depth = _depth(keys)
    return {
        (stage - 1, block.index): block.name.removeprefix("_")
        for stage in resnet.STAGES
        for block in resnet.blocks(
            "", stage, depth=depth, width=64, stride_in="3x3"
        )
    }


def _depth(keys: set[str]) -> int:
    pairs = {m.groups()[:2] for m in map(_BLOCK.match, keys) if m}
    counts = tuple(
        sum(stage == str(number) for stage, _ in pairs)
        for number in range(1, 5)
    )
    basic = not any(".conv3." in key for key in keys)
    for depth, blocks in resnet.BLOCKS.items():
        if blocks == counts and (depth in resnet.BASIC) == basic:
            return depth
    raise refuse("a ResNet of a known depth", f"{counts} blocks per stage")
