"""ST-ResNet and the multiplier against a composition of timm's blocks."""

import keras
import numpy as np
import pytest
import timm
import torch
from reference import as_torch, frames, randomized
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
