"""RAFT beside torchvision's, on the same random weights.

The weights travel as torchvision publishes them: a file of PyTorch under its
own keys.
"""

import keras
import numpy as np
import pytest
import torch
from torchvision.models import optical_flow

from keras_twostream import flow
from keras_twostream.errors import WeightsError

UPDATES = 12
MOVED = 3  # px between frames


def torchvisions(name, folder):
    """A network with telling statistics, and the file of its weights."""
    torch.manual_seed(0)
    net = getattr(optical_flow, name)().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.uniform_(-0.1, 0.1)
    path = folder / "weights.pth"
    torch.save(net.state_dict(), path)
    return net, str(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return torchvisions("raft_small", tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return torchvisions("raft_large", tmp_path_factory.mktemp("large"))


def moving_noise(height, width, count=2):
    """Smooth noise in three colours that moves to the right."""
    rng = np.random.default_rng(0)
    wide = rng.uniform(0, 255, (height, width + MOVED * count, 3))
    wide = (wide + np.roll(wide, 1, 0) + np.roll(wide, 1, 1)) / 3
    starts = [MOVED * (count - number) for number in range(count)]
    frames = [wide[:, start : start + width] for start in starts]
    return np.rint(frames).astype(np.uint8)


def fields_of_torch(net, frames, updates=UPDATES):
    """torchvision's flow from each frame to the next."""
    images = torch.from_numpy(frames.astype("float32") / 127.5 - 1)
    images = images.permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        fields = net(images[:-1], images[1:], num_flow_updates=updates)[-1]
    return fields.permute(0, 2, 3, 1).numpy()


def assert_same_flow(actual, expected):
    largest = np.abs(expected).max()
    assert largest > 0.5
    assert np.abs(actual - expected).max() < max(1e-3, 1e-4 * largest)


@pytest.mark.parametrize("name", ["small", "large"])
def test_flow_is_torchvisions(name, request):
    net, weights = request.getfixturevalue(name)
    frames = moving_noise(128, 136)
    fields = flow.compute(frames, f"raft_{name}", weights=weights)
    assert fields.shape == (1, 128, 136, 2) and fields.dtype == np.float32
    assert_same_flow(fields, fields_of_torch(net, frames))


@pytest.mark.parametrize("size", [(60, 75), (133, 130)])
def test_other_sizes_are_those_of_padded_frames(small, size):
    net, weights = small
    frames = moving_noise(*size)
    sides = []
    for side in size:
        missing = max(-(-side // 8) * 8, 128) - side
        sides.append((missing // 2, missing - missing // 2))
    padded = np.pad(frames, [(0, 0), *sides, (0, 0)], mode="edge")
    expected = fields_of_torch(net, padded, updates=2)
    (top, _), (left, _) = sides
    expected = expected[:, top : top + size[0], left : left + size[1]]
    fields = flow.compute(frames, "raft_small", weights=weights, updates=2)
    assert_same_flow(fields, expected)


def test_the_layer_shares_features_between_pairs(small):
    net, weights = small
    frames = moving_noise(128, 128, count=3)
    pairs = [[0, 1], [1, 2], [1, 0]]
    layer = flow.RAFT("raft_small", pairs, updates=3, weights=weights)
    clips = np.stack([frames, frames[::-1]])
    fields = keras.ops.convert_to_numpy(layer(clips))
    assert fields.shape == (2, 3, 128, 128, 2)
    forward = fields_of_torch(net, frames, updates=3)
    backward = fields_of_torch(net, frames[::-1].copy(), updates=3)
    assert_same_flow(fields[0, :2], forward)
    assert_same_flow(fields[0, 2], backward[1])
    assert_same_flow(fields[1, :2], backward)


@pytest.mark.parametrize("name", ["small", "large"])
def test_parameters_are_as_many(name, request):
    net, _ = request.getfixturevalue(name)
    ours = flow.RAFT(f"raft_{name}", weights=None).trainable_weights
    theirs = sum(parameter.numel() for parameter in net.parameters())
    assert sum(int(np.prod(v.shape)) for v in ours) == theirs


def test_weights_of_the_other_network_are_refused(large):
    with pytest.raises(
        WeightsError, match=r"raft_small from (.|\n)*must be the same"
    ):
        flow.RAFT("raft_small", weights=large[1])
