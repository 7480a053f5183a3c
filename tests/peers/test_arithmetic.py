"""Multiply-adds beside PyTorch's own counter, and published ones."""

import pytest
import torch
import torchvision
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
    model = models.r2plus1d(400, streams=("rgb",))
    shape = (1, 3, *model.inputs[0].shape[1:2], 112, 112)
    expected = counted_by_torch(torchvision.models.video.r2plus1d_18, *shape)
    assert costs(model).macs == expected
