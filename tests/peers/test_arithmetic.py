"""Multiply-adds beside PyTorch's own counter, and published ones."""

import pytest
import torch
import torchvision
from pytorch_i3d import I3D
from torch.utils.flop_counter import FlopCounterMode

from keras_twostream import models
from keras_twostream.costs import costs


def counted_by_torch(network, *shape):
    """Count on tensors without data: two operations are a multiply-add."""
    with torch.device("meta"):
        net = network().eval()
        clip = torch.empty(shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(clip)
    return counter.get_total_flops() / 2


def test_resnet_50_costs_what_pytorch_counts():
    model = models.temporal_segment(
        1000, streams=("rgb",), backbone="resnet50", clip_length=1
    )
    expected = counted_by_torch(torchvision.models.resnet50, 1, 3, 224, 224)
    assert costs(model).macs == expected
    assert expected / 1e9 == pytest.approx(4.09, abs=0.005)  # published


def test_r2plus1d_costs_what_pytorch_counts():
    steps = 8
    model = models.r2plus1d(400, clip_length=steps)
    expected = counted_by_torch(
        torchvision.models.video.r2plus1d_18, 1, 3, steps, 112, 112
    )
    assert costs(model).macs == expected


def test_i3d_costs_what_pytorch_counts():
    model = models.i3d(400, streams=("rgb",), clip_length=16)
    expected = counted_by_torch(lambda: I3D(3), 1, 3, 16, 224, 224)
    assert costs(model).macs == pytest.approx(expected, rel=1e-3)
