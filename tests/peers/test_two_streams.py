"""ST-ResNet and the multiplier against a composition of timm's blocks."""

import keras
import numpy as np
import pytest
import timm
import torch
from pytorch_st_resnet import STResNet
from reference import as_torch, frames, randomized
from torch import nn
from torch.nn import functional

import keras_twostream as kts

STEPS = 3
RGB = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


def flow_input(clip):
    return as_torch(np.clip(clip, -20, 20) / 40, std=0.226)


def flow_net(net):
    """The image net for ten flow channels: RGB's mean, replicated."""
    weight = net.conv1.weight.data.mean(dim=1, keepdim=True)
    motion = timm.create_model("resnet18", in_chans=10).eval()
    state = {**net.state_dict(), "conv1.weight": weight.repeat(1, 10, 1, 1)}
    motion.load_state_dict(state)
    return motion


def averaged(conv, x):
    """A convolution over three frames whose kernel is W/3 three times."""
    y = (conv(x) / 3).unflatten(0, (-1, STEPS))
    before = functional.pad(y[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
    after = functional.pad(y[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
    return (before + y + after).flatten(0, 1)


def residual(block, x, lifted):
    x = functional.relu(block.bn1(block.conv1(x)))
    x = averaged(block.conv2, x) if lifted else block.conv2(x)
    return block.bn2(x)


def shortcut(block, x):
    return x if block.downsample is None else block.downsample(x)


def towers(nets, x, join, lifted):
    """Both towers of basic blocks, joined at the second one of a stage."""
    x = {s: nets[s].maxpool(nets[s].act1(nets[s].bn1(nets[s].conv1(x[s]))))
         for s in nets}  # fmt: skip
    for stage in range(1, 5):
        first = {s: getattr(nets[s], f"layer{stage}")[0] for s in nets}
        second = {s: getattr(nets[s], f"layer{stage}")[1] for s in nets}
        sums = {
            s: shortcut(first[s], x[s]) + residual(first[s], x[s], False)
            for s in nets
        }
        x = {s: functional.relu(sums[s]) for s in nets}
        inner = {"flow": x["flow"], "rgb": join(sums["rgb"], x["flow"])}
        x = {
            s: functional.relu(x[s] + residual(second[s], inner[s], lifted))
            for s in nets
        }
    return {s: y.unflatten(0, (-1, STEPS)) for s, y in x.items()}


def scores(nets, maps):
    logits = [nets[s].fc(maps[s].mean(dim=(1, 3, 4))) for s in nets]
    return (sum(logits) / 2).numpy()


CASES = {
    "spatiotemporal_resnet.imagenet_18": (torch.add, True, {}),
    "spatiotemporal_multiplier.imagenet_18": (
        torch.mul,
        False,
        {"temporal_pool": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_two_streams_match_a_composition_of_timm_blocks(name, publish):
    join, lifted, options = CASES[name]
    net = randomized(timm.create_model("resnet18"))
    nets = {"rgb": net, "flow": flow_net(net)}
    clips = {
        "rgb": frames(64, batch=2, steps=STEPS),
        "flow": frames(64, batch=2, steps=STEPS, channels=10, seed=1),
    }
    inputs = {
        "rgb": as_torch(clips["rgb"], *RGB),
        "flow": flow_input(clips["flow"]),
    }
    with torch.no_grad():
        expected = scores(nets, towers(nets, inputs, join, lifted))
    model = kts.load(
        publish(name, net),
        num_classes=1000,
        clip_length=STEPS,
        flow_length=5,
        **options,
    )
    actual = keras.ops.convert_to_numpy(model(clips))
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# === ResNet-50, whose 1x1 convolutions are lifted ===


def named(net):
    """The layers of `STResNet` under the names of ours."""
    for stream in ("rgb", "flow"):
        tower = getattr(net, stream)
        yield f"{stream}_conv1", tower.stem[0]
        yield f"{stream}_bn_conv1", tower.stem[1]
        for stage, blocks in enumerate(tower.stages, start=2):
            for letter, block in zip("abcdef", blocks, strict=False):
                place = f"{stage}{letter}_branch"
                rows = {"2a": 0, "2b": 3, "2c": 6}
                parts = {k: block.branch[i : i + 2] for k, i in rows.items()}
                if isinstance(block.shortcut, nn.Sequential):
                    parts["1"] = block.shortcut
                for branch, (conv, norm) in parts.items():
                    yield f"{stream}_res{place}{branch}", conv
                    yield f"{stream}_bn{place}{branch}", norm
        yield f"{stream}_fc", tower.fc


def weights(module):
    """A layer's weights in Keras's order and layout."""
    if isinstance(module, nn.BatchNorm2d):
        names = ("weight", "bias", "running_mean", "running_var")
        return [getattr(module, name).detach().numpy() for name in names]
    if isinstance(module, nn.Linear):
        return [module.weight.detach().T.numpy(), module.bias.detach().numpy()]
    if isinstance(module, nn.Conv2d):
        return [module.weight.detach().permute(2, 3, 1, 0).numpy()]
    kernel = module.conv.weight.detach().permute(2, 3, 1, 0)
    return [kernel[:, :, None].numpy()]


def test_st_resnet_of_50_layers_gives_the_same_logits():
    net = STResNet(steps=STEPS)
    assert sum(x.numel() for x in net.parameters()) == 58_624_394
    clips = {
        "rgb": frames(64, batch=2, steps=STEPS),
        "flow": frames(64, batch=2, steps=STEPS, channels=20, seed=1),
    }
    inputs = [
        as_torch(clips["rgb"], *RGB).unflatten(0, (-1, STEPS)),
        flow_input(clips["flow"]).unflatten(0, (-1, STEPS)),
    ]
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.9
    with torch.no_grad():
        net.train()(*inputs)  # fills the statistics
        expected = sum(net.eval()(*inputs)).numpy() / 2
    model = kts.load("spatiotemporal_resnet", weights=None, clip_length=STEPS)
    for name, module in named(net):
        model.get_layer(name).set_weights(weights(module))
    actual = keras.ops.convert_to_numpy(model(clips))
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
